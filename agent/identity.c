#include "identity.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Far beyond any real file, and a bound on what a hostile one costs. */
#define MAX_FILE_BYTES (4 * 1024 * 1024)

/* A missing file is an empty one: an image need not have users. */
static bool read_file(const char *path, const char **text, size_t *length, struct failure *failure)
{
    struct stat status;
    *text = "";
    *length = 0;
    /* Opening a FIFO without O_NONBLOCK would wait for a writer. */
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || fail(failure, FAILURE_BAD_USER, "open", errno, "cannot open %s", path);
    bool usable = fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size <= MAX_FILE_BYTES;
    if (!usable) {
        close(fd);
        return fail(failure, FAILURE_BAD_USER, "open", EINVAL, "%s is not a file of reasonable size", path);
    }
    if (status.st_size == 0) {
        close(fd);
        return true;
    }
    /* Read, not mapped: a file cut short meanwhile would be a SIGBUS. The memory goes with execve. */
    char *memory = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ssize_t got = memory == MAP_FAILED ? -1 : read(fd, memory, (size_t)status.st_size);
    int error = errno;
    close(fd);
    if (got < 0)
        return fail(failure, FAILURE_BAD_USER, "read", error, "cannot read %s", path);
    *text = memory;
    *length = (size_t)got;
    return true;
}

bool identity_read(const char *user, struct identity *identity, struct failure *failure)
{
    struct user_files files;
    if (!read_file("/etc/passwd", &files.passwd, &files.passwd_length, failure)
        || !read_file("/etc/group", &files.group, &files.group_length, failure))
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
