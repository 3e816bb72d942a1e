#include "files.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Every template of an image keeps them; beyond this, boxes of 128 MiB would feel it. */
#define MOST_BYTES (16u * 1024 * 1024)

static size_t read_file(const char *path, size_t most)
{
    static char buffer[64 * 1024];
    struct stat status;
    size_t total = 0;
    /* A device node of the image must not even be opened. */
    if (stat(path, &status) < 0 || !S_ISREG(status.st_mode))
        return 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    while (total < most) {
        ssize_t length = read(fd, buffer, sizeof buffer);
        /* A damaged image gives errors, which whoever needs the file will meet. */
        if (length <= 0)
            break;
        total += (size_t)length;
    }
    close(fd);
    return total;
}

void files_read(const char *paths, size_t length)
{
    size_t left = MOST_BYTES;
    for (const char *path = paths, *end = paths + length; path < end; path += strlen(path) + 1) {
        size_t taken = read_file(path, left);
        left -= taken < left ? taken : left;
    }
}
