/* A directory as overlayfs leaves it, exported, and read back by GNU tar. */
#include "diff.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "check.h"

static char root[] = "/tmp/coffer-diff-XXXXXX";
static bool privileged;

static int run(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* In the scratch directory: UPPER is the tree, ARCHIVE what was made of it, BACK where it was unpacked. */
static int run(const char *format, ...)
{
    char command[4096];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    return system(command);
}

static void write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}

static int export_tree(void)
{
    int upper = open("upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int out = open("archive", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    int saved = dup(STDERR_FILENO);
    int errors = open("errors", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    CHECK(upper >= 0 && out >= 0 && saved >= 0 && errors >= 0 && dup2(errors, STDERR_FILENO) >= 0);
    int status = diff_run(upper, out);
    CHECK(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
    close(errors);
    close(upper);
    close(out);
    return status;
}

static void start_over(void)
{
    CHECK(run("rm -rf upper back archive errors list && mkdir upper back") == 0);
}

static bool listed(const char *name)
{
    return run("tar -tf archive --quoting-style=literal > list && grep -qxF -- '%s' list", name) == 0;
}

static bool complained(const char *text)
{
    return run("grep -qF -- '%s' errors", text) == 0;
}

static void make_files(void)
{
    const struct timespec times[2] = {{1500000000, 0}, {1500000000, 123456789}};
    const struct timespec old[2] = {{-86400, 0}, {-86400, 500000000}};
    write_text("upper/plain", "some text\n");
    CHECK(utimensat(AT_FDCWD, "upper/plain", times, 0) == 0);
    write_text("upper/old", "");
    CHECK(utimensat(AT_FDCWD, "upper/old", old, 0) == 0);
    CHECK(mkdir("upper/directory", 01750) == 0 && chmod("upper/directory", 01750) == 0);
    write_text("upper/directory/setuid", "x");
    CHECK(chmod("upper/directory/setuid", 04755) == 0);
    write_text("upper/\xff\xfe name\twith\nodd bytes", "odd");
    CHECK(mkfifo("upper/fifo", 0600) == 0);
    CHECK(symlink("/etc/passwd", "upper/symlink") == 0);
    CHECK(link("upper/plain", "upper/directory/linked") == 0);
    CHECK(run("deep=upper/$(printf '%%0120d' 1)/$(printf '%%0130d' 2) && mkdir -p $deep && echo deep > $deep/file"
              " && ln -s $(printf '%%0200d' 3) upper/long-link") == 0);
    CHECK(run("head -c 300000 /dev/urandom > upper/large") == 0);
}

static void make_sparse(void)
{
    int fd = open("upper/sparse", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    CHECK(fd >= 0 && pwrite(fd, "begin", 5, 1 << 20) == 5 && pwrite(fd, "end", 3, 5 << 20) == 3);
    CHECK(ftruncate(fd, (9 << 20) + 7) == 0 && close(fd) == 0);
}

static void make_privileged(void)
{
    if (!privileged)
        return;
    CHECK(mknod("upper/character", S_IFCHR | 0640, makedev(4, 70)) == 0);
    CHECK(mknod("upper/block", S_IFBLK | 0640, makedev(259, 70000)) == 0);
    CHECK(chown("upper/directory/setuid", 3000000, 4000000000u) == 0 && chmod("upper/directory/setuid", 04755) == 0);
    CHECK(setxattr("upper/plain", "trusted.overlay.origin", "x", 1, 0) == 0);
    CHECK(setxattr("upper/plain", "trusted.kept", "t", 1, 0) == 0);
    CHECK(lsetxattr("upper/symlink", "trusted.of-a-link", "s", 1, 0) == 0);
}

static void what_was_unpacked_is_what_was_there(void)
{
    start_over();
    make_files();
    make_sparse();
    make_privileged();
    bool attributes = setxattr("upper/plain", "user.comment", "a\0b", 3, 0) == 0;
    CHECK(export_tree() == 0);
    CHECK(run("tar -xf archive -C back --warning=no-timestamp --xattrs --xattrs-include='*' -p --numeric-owner %s",
              privileged ? "--same-owner" : "")
          == 0);
    CHECK(run("cd upper && find . -type f -exec cmp {} ../back/{} ';' | wc -l | grep -qx 0") == 0);
    /* Everything find can say of an entry, to the nanosecond. */
    const char *format = "%P|%y|%m|%U|%G|%s|%T@|%l|%n\\0";
    for (int i = 0; i < 2; i++) {
        const char *tree = i == 0 ? "upper" : "back";
        CHECK(run("cd %s && find . -mindepth 1 ! -type d -printf '%s' | sort -z > ../list-%s", tree, format, tree) == 0);
        CHECK(run("cd %s && find . -type d -printf '%%P|%%m|%%U|%%G|%%T@\\0' | sort -z >> ../list-%s", tree, tree) == 0);
    }
    CHECK(run("cmp list-upper list-back") == 0);
    CHECK(run("test $(stat -c %%i back/plain) = $(stat -c %%i back/directory/linked)") == 0);
    char value[8];
    if (attributes)
        CHECK(getxattr("back/plain", "user.comment", value, sizeof value) == 3 && memcmp(value, "a\0b", 3) == 0);
    if (!privileged)
        return;
    CHECK(getxattr("back/plain", "trusted.kept", value, sizeof value) == 1);
    CHECK(getxattr("back/plain", "trusted.overlay.origin", value, sizeof value) < 0);
    CHECK(lgetxattr("back/symlink", "trusted.of-a-link", value, sizeof value) == 1);
    CHECK(run("test $(stat -c %%t:%%T back/block) = 103:11170") == 0);
}

static void removals_are_whiteouts(void)
{
    start_over();
    CHECK(mkdir("upper/in", 0755) == 0);
    CHECK(mknod("upper/in/removed", S_IFCHR, makedev(0, 0)) == 0 || !privileged);
    if (!privileged)
        return;
    CHECK(link("upper/in/removed", "upper/in/removed too") == 0);
    CHECK(mkdir("upper/replaced", 0700) == 0 && setxattr("upper/replaced", "trusted.overlay.opaque", "y", 1, 0) == 0);
    CHECK(mkdir("upper/mixed", 0700) == 0 && setxattr("upper/mixed", "trusted.overlay.opaque", "x", 1, 0) == 0);
    CHECK(export_tree() == 0);
    CHECK(listed("in/.wh.removed") && listed("in/.wh.removed too") && !listed("in/removed"));
    CHECK(listed("replaced/") && listed("replaced/.wh..wh..opq") && !listed("mixed/.wh..wh..opq"));
    CHECK(run("tar -tvf archive > list && grep -q -- '^-.* 0 .*in/.wh.removed$' list") == 0);
}

static void what_coffer_makes_is_left_out(void)
{
    start_over();
    CHECK(run("mkdir -p upper/etc upper/proc/x upper/sys upper/dev upper/home/proc upper/home/etc && cd upper &&"
              " touch etc/hosts etc/hostname etc/resolv.conf etc/machine-id etc/own home/etc/hosts dev/null")
          == 0);
    CHECK(export_tree() == 0);
    CHECK(listed("./") && listed("etc/") && listed("etc/own") && listed("home/proc/") && listed("home/etc/hosts"));
    CHECK(run("test $(tar -tf archive | wc -l) = 7") == 0);
}

static void sockets_are_left_out(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "upper/socket"};
    start_over();
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && close(fd) == 0);
    CHECK(export_tree() == 0);
    CHECK(run("test $(tar -tf archive | wc -l) = 1") == 0);
}

static void what_a_layer_cannot_say_is_a_failure(void)
{
    start_over();
    write_text("upper/.wh.file", "");
    write_text("upper/after", "");
    CHECK(mkdir("upper/.wh..wh..opq", 0755) == 0);
    CHECK(export_tree() == 1);
    CHECK(complained("diff: /.wh.file: ") && complained("diff: /.wh..wh..opq: "));
    CHECK(listed("after") && !listed(".wh.file"));
    if (!privileged)
        return;
    start_over();
    CHECK(mkdir("upper/moved", 0755) == 0 && setxattr("upper/moved", "trusted.overlay.redirect", "/x", 2, 0) == 0);
    write_text("upper/hollow", "");
    CHECK(setxattr("upper/hollow", "trusted.overlay.metacopy", "", 0, 0) == 0);
    CHECK(export_tree() == 1 && complained("diff: /moved/: ") && complained("diff: /hollow: "));
}

/* Deeper than a path can be: the rest is left out, and that is said. */
static void a_tree_too_deep_is_a_failure(void)
{
    char name[200];
    memset(name, 'd', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    start_over();
    int fd = open("upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < 40; i++) {
        CHECK(mkdirat(fd, name, 0755) == 0);
        int next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        CHECK(next >= 0 && close(fd) == 0);
        fd = next;
    }
    close(fd);
    CHECK(export_tree() == 1 && complained("a path in it is too long"));
    CHECK(run("test $(tar -tf archive | wc -l) = 21") == 0);
}

static void messages_show_no_control_bytes_and_end(void)
{
    start_over();
    for (int i = 0; i < 100; i++) {
        char path[64];
        snprintf(path, sizeof path, "upper/.wh.\x1b[2J\n%d", i);
        write_text(path, "");
    }
    CHECK(export_tree() == 1 && complained("diff: 80 more"));
    CHECK(run("test $(wc -l < errors) = 21 && ! grep -q \"$(printf '\\033')\" errors") == 0);
}

static void a_reader_that_leaves_is_a_failure(void)
{
    int ends[2];
    start_over();
    CHECK(run("head -c 200000 /dev/zero > upper/zeros") == 0 && pipe(ends) == 0 && close(ends[0]) == 0);
    int upper = open("upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int saved = dup(STDERR_FILENO), null_fd = open("/dev/null", O_WRONLY);
    CHECK(dup2(null_fd, STDERR_FILENO) >= 0);
    int status = diff_run(upper, ends[1]);
    CHECK(dup2(saved, STDERR_FILENO) >= 0 && status == 1);
    close(saved);
    close(null_fd);
    close(upper);
    close(ends[1]);
}

static void hard_links_beyond_the_bound_are_files(void)
{
    struct links links;
    char path[32];
    unsigned kept = 0;
    CHECK(links_open(&links));
    for (uint64_t inode = 1; inode <= 300000; inode++) {
        snprintf(path, sizeof path, "path/%llu", (unsigned long long)inode);
        CHECK(links_first(&links, inode, path) == NULL);
    }
    for (uint64_t inode = 1; inode <= 300000; inode++) {
        const char *first = links_first(&links, inode, "other");
        if (first == NULL)
            continue;
        snprintf(path, sizeof path, "path/%llu", (unsigned long long)inode);
        CHECK(strcmp(first, path) == 0);
        kept++;
    }
    CHECK(kept >= 150000);
    links_close(&links);
}

int main(void)
{
    /* A reader that is gone must be an error and not a signal, as in the agent's child. */
    CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    CHECK(mkdtemp(root) != NULL && chdir(root) == 0);
    privileged = geteuid() == 0;
    what_was_unpacked_is_what_was_there();
    removals_are_whiteouts();
    what_coffer_makes_is_left_out();
    sockets_are_left_out();
    what_a_layer_cannot_say_is_a_failure();
    a_tree_too_deep_is_a_failure();
    messages_show_no_control_bytes_and_end();
    a_reader_that_leaves_is_a_failure();
    hard_links_beyond_the_bound_are_files();
    CHECK(chdir("/") == 0 && run("rm -rf %s", root) == 0);
    return 0;
}
