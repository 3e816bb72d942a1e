#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "loop.h"
#include "sys.h"

/* Left to the kernel and the agent, so that a container out of memory is stopped by its own limit and not the VM's. */
#define RESERVE_BYTES (24ull * 1024 * 1024)
/* Leaves stay with the background processes of ended executions. */
#define MAX_LEAVES 4096
#define SPARE_LEAVES 8
/* Each of them may take some memory that no limit of the box bounds. */
#define MAX_BUILTINS 4
/* Leaves looked at again per execution: the cost of one start stays bounded. */
#define SWEEP_LEAVES 4

static int box_fd = -1, builtin_fd = -1, box_events_fd = -1, pids_max_fd = -1;
static struct leaf leaves[MAX_LEAVES];
static unsigned leaf_count, builtin_count;
static struct leaf *spare[LEAF_KINDS], *busy_first, *busy_last;
static struct source memory_events = {.fd = -1}, box_events = {.fd = -1};
static uint64_t oom_kills;

static bool create_leaf(enum leaf_kind kind)
{
    if (leaf_count == MAX_LEAVES || (kind == LEAF_BUILTIN && builtin_count == MAX_BUILTINS)) {
        errno = EAGAIN;
        return false;
    }
    char name[16];
    int parent = kind == LEAF_BOX ? box_fd : builtin_fd;
    snprintf(name, sizeof name, "%u", leaf_count);
    if (mkdirat(parent, name, 0755) < 0 && errno != EEXIST)
        return false;
    struct leaf *leaf = &leaves[leaf_count];
    leaf->kind = kind;
    leaf->fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    leaf->events_fd = leaf->fd < 0 ? -1 : openat(leaf->fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
    if (leaf->events_fd < 0) {
        int saved = errno;
        if (leaf->fd >= 0)
            close(leaf->fd);
        errno = saved;
        return false;
    }
    leaf_count++;
    if (kind == LEAF_BUILTIN)
        builtin_count++;
    leaf->next = spare[kind];
    spare[kind] = leaf;
    return true;
}

/* A line `name value` of a flat keyed file that is kept open. */
static uint64_t keyed_value(int fd, const char *name)
{
    char text[512];
    ssize_t length = pread(fd, text, sizeof text - 1, 0);
    if (length < 0)
        return 0;
    text[length] = '\0';
    const char *line = strstr(text, name);
    return line == NULL ? 0 : strtoull(line + strlen(name), NULL, 10);
}

static void memory_event(struct source *source, uint32_t events)
{
    (void)events;
    oom_kills = keyed_value(source->fd, "\noom_kill ");
}

/* Only wakes the loop: what waits for the container to empty looks again at every turn. */
static void box_event(struct source *source, uint32_t events)
{
    (void)source;
    (void)events;
}

/* Of what is free: the kernel's own share of the total differs with its build and the VM's size. */
static void limit_memory(void)
{
    struct sysinfo info;
    char number[24];
    if (sysinfo(&info) < 0)
        die("sysinfo");
    uint64_t available = (uint64_t)(info.freeram + info.bufferram) * info.mem_unit;
    uint64_t limit = available > 2 * RESERVE_BYTES ? available - RESERVE_BYTES : available / 2;
    snprintf(number, sizeof number, "%llu", (unsigned long long)limit);
    if (!write_file_at(box_fd, "memory.max", number))
        die("limit the container's memory");
}

void cgroups_open(void)
{
    if (!write_file_at(AT_FDCWD, CGROUP_MOUNT "/cgroup.subtree_control", "+memory +pids"))
        die("enable cgroup controllers");
    if (mkdir(CGROUP_BOX, 0755) < 0 || mkdir(CGROUP_INIT, 0755) < 0 || mkdir(CGROUP_BUILTIN, 0755) < 0)
        die("create cgroups");
    builtin_fd = open(CGROUP_BUILTIN, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    box_fd = open(CGROUP_BOX, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    box_events_fd = openat(box_fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
    pids_max_fd = openat(box_fd, "pids.max", O_WRONLY | O_CLOEXEC);
    int events_fd = openat(box_fd, "memory.events", O_RDONLY | O_CLOEXEC);
    if (box_fd < 0 || builtin_fd < 0 || box_events_fd < 0 || pids_max_fd < 0 || events_fd < 0)
        die("open cgroups");
    if (!loop_add(&memory_events, events_fd, EPOLLPRI | EPOLLET, memory_event)
        || !loop_add(&box_events, box_events_fd, EPOLLPRI | EPOLLET, box_event))
        die("epoll_ctl of cgroup events");
    for (unsigned i = 0; i < SPARE_LEAVES; i++)
        if (!create_leaf(LEAF_BOX))
            die("create a cgroup");
    limit_memory();
}

int cgroup_box(void)
{
    return box_fd;
}

void cgroup_exempt(pid_t pid)
{
    char number[16];
    snprintf(number, sizeof number, "%d", pid);
    if (!write_file_at(AT_FDCWD, CGROUP_INIT "/cgroup.procs", number))
        die("move to " CGROUP_INIT);
}

bool cgroup_limit_tasks(uint64_t pids_max, struct failure *failure)
{
    char number[24];
    int length = snprintf(number, sizeof number, "%llu", (unsigned long long)pids_max);
    if (write(pids_max_fd, number, (size_t)length) != length)
        return fail(failure, FAILURE_OTHER, "pids.max", errno, "cannot limit the container's tasks");
    return true;
}

static bool leaf_empty(const struct leaf *leaf)
{
    return keyed_value(leaf->events_fd, "populated ") == 0;
}

static void sweep(unsigned count)
{
    while (count-- > 0 && busy_first != NULL) {
        struct leaf *leaf = busy_first;
        busy_first = leaf->next;
        if (busy_first == NULL)
            busy_last = NULL;
        leaf_release(leaf);
    }
}

struct leaf *leaf_take(enum leaf_kind kind)
{
    sweep(SWEEP_LEAVES);
    if (spare[kind] == NULL && !create_leaf(kind))
        return NULL;
    struct leaf *leaf = spare[kind];
    spare[kind] = leaf->next;
    return leaf;
}

/* Reused when empty: that is cheaper than a new one, and their number stays what was needed at once. */
void leaf_release(struct leaf *leaf)
{
    if (leaf_empty(leaf)) {
        leaf->next = spare[leaf->kind];
        spare[leaf->kind] = leaf;
        return;
    }
    leaf->next = NULL;
    if (busy_last == NULL)
        busy_first = leaf;
    else
        busy_last->next = leaf;
    busy_last = leaf;
}

static void kill_group(int fd)
{
    if (!write_file_at(fd, "cgroup.kill", "1"))
        console_line("cgroup.kill: %s", strerror(errno));
}

void leaf_kill(const struct leaf *leaf)
{
    kill_group(leaf->fd);
}

/* Not at once for all: a process may start another while the list is read. Only SIGKILL closes that gap. */
void leaf_signal(const struct leaf *leaf, int number)
{
    int fd = openat(leaf->fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
    FILE *list = fd < 0 ? NULL : fdopen(fd, "re");
    if (list == NULL) {
        console_line("cgroup.procs: %s", strerror(errno));
        if (fd >= 0)
            close(fd);
        return;
    }
    int pid;
    while (fscanf(list, "%d", &pid) == 1)
        if (pid > 0 && kill(pid, number) < 0 && errno != ESRCH)
            console_line("kill: %s", strerror(errno));
    fclose(list);
}

uint64_t oom_kills_seen(void)
{
    return oom_kills;
}

uint64_t oom_kills_now(void)
{
    memory_event(&memory_events, 0);
    return oom_kills;
}

void box_signal(int number)
{
    for (unsigned i = 0; i < leaf_count; i++)
        if (leaves[i].kind == LEAF_BOX && !leaf_empty(&leaves[i]))
            leaf_signal(&leaves[i], number);
}

void box_kill(void)
{
    kill_group(box_fd);
}

void builtins_kill(void)
{
    kill_group(builtin_fd);
}

bool box_empty(void)
{
    return keyed_value(box_events_fd, "populated ") == 0;
}

bool box_freeze(bool freeze)
{
    return write_file_at(box_fd, "cgroup.freeze", freeze ? "1" : "0");
}

bool box_frozen(void)
{
    return keyed_value(box_events_fd, "frozen ") == 1;
}
