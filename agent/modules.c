#include "modules.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/module.h>
#include <string.h>
#include <unistd.h>

#include "sys.h"

#define DIRECTORY "/modules"
#define MAX_ORDER_BYTES 8192

static bool ends_with(const char *name, const char *suffix)
{
    size_t length = strlen(name), tail = strlen(suffix);
    return length >= tail && strcmp(name + length - tail, suffix) == 0;
}

static void load(int directory, const char *name)
{
    int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        die("open module %s", name);
    unsigned flags = ends_with(name, ".xz") ? MODULE_INIT_COMPRESSED_FILE : 0;
    if (sys_finit_module(fd, "", flags) < 0 && errno != EEXIST)
        die("load module %s", name);
    close(fd);
    /* The initramfs is memory, and the template would carry it into every VM. */
    if (unlinkat(directory, name, 0) < 0)
        console_line("unlink module %s: %s", name, strerror(errno));
}

void modules_load(void)
{
    static char order[MAX_ORDER_BYTES];
    int directory = open(DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        die("open " DIRECTORY);
    ssize_t length = read_file_at(directory, "order", order, sizeof order);
    if (length < 0 || length == sizeof order - 1) {
        errno = length < 0 ? errno : EFBIG;
        die("read " DIRECTORY "/order");
    }
    char *state = NULL;
    for (char *name = strtok_r(order, "\n", &state); name != NULL; name = strtok_r(NULL, "\n", &state))
        load(directory, name);
    close(directory);
}
