#include "identity.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Far beyond any real file, and a bound on what a hostile one costs. */
#define MAX_FILE_BYTES (4 * 1024 * 1024)
/* Most files are shorter, and both are then read into one page. */
#define USUAL_BYTES 2048

/* Read, not mapped: a file cut short meanwhile would be a SIGBUS. The memory goes with execve. */
static bool read_large(int fd, const char *path, const char **text, size_t *length, struct failure *failure)
{
    struct stat status;
    if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) || status.st_size > MAX_FILE_BYTES)
        return fail(failure, FAILURE_BAD_USER, "open", EINVAL, "%s is not a file of reasonable size", path);
    if (status.st_size == 0)
        return true;
    char *memory = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ssize_t got = memory == MAP_FAILED ? -1 : pread(fd, memory, (size_t)status.st_size, 0);
    if (got < 0)
        return fail(failure, FAILURE_BAD_USER, "read", errno, "cannot read %s", path);
    *text = memory;
    *length = (size_t)got;
    return true;
}

/* A missing file is an empty one: an image need not have users. What fills `usual`, or is no file, is looked at more closely. */
static bool read_file(const char *path, char usual[USUAL_BYTES], const char **text, size_t *length,
                      struct failure *failure)
{
    *text = usual;
    *length = 0;
    /* Opening a FIFO without O_NONBLOCK would wait for a writer. */
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || fail(failure, FAILURE_BAD_USER, "open", errno, "cannot open %s", path);
    ssize_t got = pread(fd, usual, USUAL_BYTES, 0);
    bool whole = got > 0 && got < USUAL_BYTES;
    bool usable = whole || read_large(fd, path, text, length, failure);
    if (whole)
        *length = (size_t)got;
    close(fd);
    return usable;
}

bool identity_read(const char *user, struct identity *identity, struct failure *failure)
{
    static char usual[2][USUAL_BYTES] __attribute__((aligned(2 * USUAL_BYTES)));
    struct user_files files;
    if (!read_file("/etc/passwd", usual[0], &files.passwd, &files.passwd_length, failure)
        || !read_file("/etc/group", usual[1], &files.group, &files.group_length, failure))
        return false;
    switch (user_lookup(user, &files, identity)) {
    case USER_FOUND:
        return true;
    case USER_UNKNOWN:
        return fail(failure, FAILURE_BAD_USER, "passwd", ENOENT, "no user %.64s in /etc/passwd", user);
    case USER_GROUP_UNKNOWN:
        return fail(failure, FAILURE_BAD_USER, "group", ENOENT, "no group for %.64s in /etc/group", user);
    default:
        return fail(failure, FAILURE_BAD_USER, "user", EINVAL, "%.64s is not a user", user);
    }
}
