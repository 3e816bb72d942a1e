#include "target.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int target_directory(int root, const char *name, struct failure *failure)
{
    if (mkdirat(root, name, 0755) < 0 && errno != EEXIST) {
        fail(failure, FAILURE_OTHER, "mkdir", errno, "cannot make /%s in the box", name);
        return -1;
    }
    int fd = sys_openat2(root, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
    if (fd < 0)
        fail(failure, FAILURE_OTHER, "open", errno, "/%s in the box is not a directory", name);
    return fd;
}

int target_etc(int root, struct failure *failure)
{
    if (mkdirat(root, "etc", 0755) < 0 && errno != EEXIST) {
        fail(failure, FAILURE_OTHER, "mkdir", errno, "cannot make /etc in the box");
        return -1;
    }
    int fd = sys_openat2(root, "etc", O_RDONLY | O_DIRECTORY, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
    if (fd < 0)
        fail(failure, FAILURE_OTHER, "open", errno, "/etc in the box is not a directory");
    return fd;
}

/* The file itself or what a link in the image means by it. */
static int open_regular(int root, const char *name)
{
    char path[64];
    struct stat status;
    snprintf(path, sizeof path, "etc/%s", name);
    int fd = sys_openat2(root, path, O_PATH, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
    if (fd >= 0 && (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))) {
        close(fd);
        fd = -1;
    }
    return fd;
}

int target_etc_file(int root, int etc, const char *name, struct failure *failure)
{
    /* 1. What is there, if it can carry a mount. */
    int fd = open_regular(root, name);
    if (fd >= 0)
        return fd;

    /* 2. A link that leads nowhere, or something odd, makes room. */
    if (unlinkat(etc, name, 0) < 0 && errno != ENOENT) {
        fail(failure, FAILURE_OTHER, "unlink", errno, "/etc/%s in the box is not a file", name);
        return -1;
    }

    /* 3. An empty file to mount over. */
    fd = openat(etc, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd >= 0) {
        close(fd);
        fd = openat(etc, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    }
    if (fd < 0)
        fail(failure, FAILURE_OTHER, "create", errno, "cannot make /etc/%s in the box", name);
    return fd;
}

bool target_tmp(int root, struct failure *failure)
{
    if (mkdirat(root, "tmp", 0777) < 0)
        return errno == EEXIST || fail(failure, FAILURE_OTHER, "mkdir", errno, "cannot make /tmp in the box");
    /* The mode of mkdir is cut by umask, and it has no sticky bit. */
    if (fchmodat(root, "tmp", 01777, 0) < 0)
        return fail(failure, FAILURE_OTHER, "chmod", errno, "cannot make /tmp in the box");
    return true;
}
