#include "directories.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "sys.h"

/* The caller has entered the box's root: no link of the image leads out of it. */
static void make(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int result = mkdir(path, 0755);
        *slash = '/';
        if (result < 0 && errno != EEXIST)
            break;
    }
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        console_line("make %s: %s", path, strerror(errno));
}

void directories_make(char *paths, size_t length)
{
    for (char *path = paths, *end = paths + length; path < end; path += strlen(path) + 1)
        make(path);
}
