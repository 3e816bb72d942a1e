#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "diff.h"
#include "diff_xattr.h"

#define WHITEOUT_PREFIX ".wh."
#define OPAQUE_NAME ".wh..wh..opq"
/* Below this a copy is cheaper than flushing what waits to be written before. */
#define LEAST_SEND_BYTES (64u * 1024u)
#define MOST_SEND_BYTES (16u * 1024u * 1024u)

static struct tar_entry entry_of(const struct diff *diff, const struct stat *status, enum tar_type type)
{
    return (struct tar_entry){
        .type = type,
        .name = diff->path,
        .mode = status->st_mode,
        .uid = status->st_uid,
        .gid = status->st_gid,
        .modified = status->st_mtim,
    };
}

/* What is hidden below: an empty file of a name that says so. */
static void write_mark(struct diff *diff, const struct stat *status)
{
    struct tar_entry entry = {.type = TAR_FILE, .name = diff->path, .mode = 0600, .modified = status->st_mtim};
    tar_prepare(&diff->tar);
    tar_header(&diff->tar, &entry);
}

static void whiteout(struct diff *diff, const struct stat *status, const char *name)
{
    size_t length = strlen(name), start = diff->path_length - length;
    stpcpy(stpcpy(diff->path + start, WHITEOUT_PREFIX), name);
    write_mark(diff, status);
    memcpy(diff->path + start, name, length + 1);
}

/* Attributes and header. False, with a problem noted, if the entry must be left out. */
static bool write_header(struct diff *diff, int fd, const struct tar_entry *entry, struct overlay_marks *marks)
{
    tar_prepare(&diff->tar);
    if (!xattrs_read(fd, &diff->tar.pax, marks)) {
        diff_problem(diff, "its extended attributes cannot be read", errno);
        return false;
    }
    if (marks->partial) {
        diff_problem(diff, "overlayfs keeps a part of it elsewhere", 0);
        return false;
    }
    if (!tar_header(&diff->tar, entry)) {
        diff_problem(diff, "its extended attributes have no room in an archive", 0);
        return false;
    }
    return true;
}

void diff_directory(struct diff *diff, int fd, const struct stat *status)
{
    struct overlay_marks marks;
    struct tar_entry entry = entry_of(diff, status, TAR_DIRECTORY);
    if (diff->path_length == 0)
        entry.name = "./";
    if (!write_header(diff, fd, &entry, &marks) || !marks.opaque)
        return;
    stpcpy(diff->path + diff->path_length, OPAQUE_NAME);
    write_mark(diff, status);
    diff->path[diff->path_length] = '\0';
}

static ssize_t copy_piece(struct diff *diff, int file, uint64_t at, uint64_t length)
{
    size_t capacity;
    if (length >= LEAST_SEND_BYTES)
        return tar_send(&diff->tar, file, at, length < MOST_SEND_BYTES ? length : MOST_SEND_BYTES);
    uint8_t *room = tar_room(&diff->tar, &capacity);
    ssize_t got = pread(file, room, length < capacity ? (size_t)length : capacity, (off_t)at);
    if (got > 0)
        tar_filled(&diff->tar, (size_t)got);
    return got;
}

/* False with errno; 0 at the end of a file that has become shorter. */
static bool copy(struct diff *diff, int file, uint64_t *at, uint64_t end)
{
    while (*at < end && diff->tar.error == 0) {
        ssize_t length = copy_piece(diff, file, *at, end - *at);
        if (length < 0 && errno == EINTR)
            continue;
        if (length <= 0) {
            errno = length < 0 ? errno : 0;
            return diff->tar.error != 0;
        }
        *at += (uint64_t)length;
    }
    return true;
}

/* The next part of a file that has holes: what lies before `*end` and behind `*at` is data, up to `*at` are zeros. */
static void seek_data(int file, uint64_t size, uint64_t *at, uint64_t *end)
{
    off_t data = lseek(file, (off_t)*at, SEEK_DATA);
    if (data < 0 || (uint64_t)data > size) {
        /* ENXIO: only a hole is left. */
        *at = *end = size;
        return;
    }
    *at = (uint64_t)data;
    off_t hole = lseek(file, data, SEEK_HOLE);
    *end = hole < 0 || (uint64_t)hole > size ? size : (uint64_t)hole;
}

/* Exactly `size` bytes, whatever happens to the file meanwhile: the header has promised them. */
static void write_content(struct diff *diff, int file, const struct stat *status)
{
    uint64_t size = (uint64_t)status->st_size, at = 0, end = size;
    bool has_holes = (uint64_t)status->st_blocks * 512 < size;
    struct stat now;
    while (at < size && diff->tar.error == 0) {
        uint64_t start = at;
        if (has_holes)
            seek_data(file, size, &at, &end);
        tar_zeros(&diff->tar, at - start);
        if (copy(diff, file, &at, end))
            continue;
        diff_problem(diff, errno == 0 ? "it became shorter while it was read" : "it cannot be read to its end", errno);
        tar_zeros(&diff->tar, size - at);
        break;
    }
    tar_pad(&diff->tar, size);
    if (has_holes && fstat(file, &now) == 0 && now.st_size < status->st_size)
        diff_problem(diff, "it became shorter while it was read", 0);
}

static void regular(struct diff *diff, int fd)
{
    struct overlay_marks marks;
    struct stat status;
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &status) < 0) {
        diff_problem(diff, "it cannot be opened", errno);
        if (file >= 0)
            close(file);
        return;
    }
    struct tar_entry entry = entry_of(diff, &status, TAR_FILE);
    entry.size = (uint64_t)status.st_size;
    if (write_header(diff, fd, &entry, &marks))
        write_content(diff, file, &status);
    close(file);
}

static void symbolic_link(struct diff *diff, int fd, const struct stat *status)
{
    struct overlay_marks marks;
    struct tar_entry entry = entry_of(diff, status, TAR_SYMLINK);
    ssize_t length = readlinkat(fd, "", diff->link, sizeof diff->link - 1);
    if (length < 0) {
        diff_problem(diff, "it cannot be read", errno);
        return;
    }
    diff->link[length] = '\0';
    entry.link = diff->link;
    write_header(diff, fd, &entry, &marks);
}

static void special(struct diff *diff, int fd, const struct stat *status, enum tar_type type)
{
    struct overlay_marks marks;
    struct tar_entry entry = entry_of(diff, status, type);
    if (type != TAR_FIFO) {
        entry.major = major(status->st_rdev);
        entry.minor = minor(status->st_rdev);
    }
    write_header(diff, fd, &entry, &marks);
}

/* A further name of a file that is in the archive already. */
static bool is_later_link(struct diff *diff, const struct stat *status)
{
    if (status->st_nlink < 2)
        return false;
    const char *first = links_first(&diff->links, status->st_ino, diff->path);
    if (first == NULL)
        return false;
    struct tar_entry entry = entry_of(diff, status, TAR_LINK);
    entry.link = first;
    tar_prepare(&diff->tar);
    tar_header(&diff->tar, &entry);
    return true;
}

void diff_entry(struct diff *diff, int fd, const struct stat *status, const char *name)
{
    /* 1. What has a meaning of its own. All whiteouts may be links of one inode. */
    if (S_ISCHR(status->st_mode) && status->st_rdev == 0) {
        whiteout(diff, status, name);
        return;
    }
    if (strncmp(name, WHITEOUT_PREFIX, strlen(WHITEOUT_PREFIX)) == 0) {
        diff_problem(diff, "a layer takes a name that begins with .wh. for a removal", 0);
        return;
    }

    /* 2. Sockets are of no use without the process that made them, and archives have no type for them. */
    if (S_ISSOCK(status->st_mode) || is_later_link(diff, status))
        return;

    /* 3. The rest. */
    switch (status->st_mode & S_IFMT) {
    case S_IFREG:
        regular(diff, fd);
        break;
    case S_IFLNK:
        symbolic_link(diff, fd, status);
        break;
    case S_IFCHR:
        special(diff, fd, status, TAR_CHARACTER);
        break;
    case S_IFBLK:
        special(diff, fd, status, TAR_BLOCK);
        break;
    case S_IFIFO:
        special(diff, fd, status, TAR_FIFO);
        break;
    default:
        diff_problem(diff, "it is of a type that archives do not know", 0);
    }
}
