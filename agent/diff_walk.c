#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "diff.h"

/* What every start of a box makes or mounts over, and so is none of its changes. */
static bool is_ours(const char *path)
{
    static const char *const ours[] = {"proc",      "sys",          "dev",
                                       "etc/hosts", "etc/hostname", "etc/resolv.conf",
                                       "etc/machine-id"};
    for (unsigned i = 0; i < sizeof ours / sizeof ours[0]; i++)
        if (strcmp(path, ours[i]) == 0)
            return true;
    return false;
}

static void directory(struct diff *diff, int fd, const struct stat *status)
{
    diff->path[diff->path_length++] = '/';
    diff->path[diff->path_length] = '\0';
    diff_directory(diff, fd, status);
    int entries = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (entries < 0)
        diff_problem(diff, "it cannot be opened", errno);
    else
        diff_walk(diff, entries);
    diff->path[--diff->path_length] = '\0';
}

/* The path of the entry at hand is its directory's and `name`. */
static void visit(struct diff *diff, int parent, const char *name)
{
    struct stat status;
    int fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    /* Removed since the directory was read: it is no part of the box any more. */
    if (fd < 0 && errno == ENOENT)
        return;
    if (fd < 0 || fstat(fd, &status) < 0)
        diff_problem(diff, "it cannot be opened", errno);
    else if (S_ISDIR(status.st_mode) && strncmp(name, ".wh.", 4) != 0)
        directory(diff, fd, &status);
    else
        diff_entry(diff, fd, &status, name);
    if (fd >= 0)
        close(fd);
}

void diff_walk(struct diff *diff, int fd)
{
    size_t parent_length = diff->path_length;
    DIR *entries = fdopendir(fd);
    if (entries == NULL) {
        diff_problem(diff, "it cannot be listed", errno);
        close(fd);
        return;
    }
    while (diff->tar.error == 0) {
        errno = 0;
        struct dirent *entry = readdir(entries);
        if (entry == NULL)
            break;
        const char *name = entry->d_name;
        size_t length = strlen(name);
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        /* One more for the slash behind a directory. */
        if (parent_length + length + 1 >= PATH_MAX) {
            diff_problem(diff, "a path in it is too long", ENAMETOOLONG);
            continue;
        }
        memcpy(diff->path + parent_length, name, length + 1);
        diff->path_length = parent_length + length;
        if (!is_ours(diff->path))
            visit(diff, fd, name);
        diff->path_length = parent_length;
        diff->path[parent_length] = '\0';
    }
    if (errno != 0 && diff->tar.error == 0)
        diff_problem(diff, "it cannot be listed", errno);
    closedir(entries);
}
