#include "files.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys.h"

/* Every template of an image keeps them; beyond this, boxes of 128 MiB would feel it. */
#define MOST_BYTES (16u * 1024 * 1024)

/* On the image or the box's disk: a link of the image into /proc may lead to what never ends. A device node is not even opened. */
static int open_file(const char *path)
{
    const uint64_t within = RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS;
    struct stat status;
    int found = sys_openat2(AT_FDCWD, path, O_PATH, within);
    if (found < 0)
        return -1;
    bool regular = fstat(found, &status) == 0 && S_ISREG(status.st_mode);
    close(found);
    return regular ? sys_openat2(AT_FDCWD, path, O_RDONLY, within) : -1;
}

static size_t read_file(const char *path, size_t most)
{
    static char buffer[64 * 1024];
    size_t total = 0;
    int fd = open_file(path);
    if (fd < 0)
        return 0;
    while (total + sizeof buffer <= most) {
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
    for (const char *path = paths, *end = paths + length; path < end; path += strlen(path) + 1)
        left -= read_file(path, left);
}
