/* The control groups:
 *
 *   init          the container's init, outside the limits it is not to use up
 *   box           limits of the container, its device filter, and the root of its cgroup namespace
 *   box/N         a leaf: one execution, and what it started
 *   builtin/N     a leaf: one program of the agent's own, which goes on while the box is frozen
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "failure.h"

enum leaf_kind { LEAF_BOX, LEAF_BUILTIN, LEAF_KINDS };

struct leaf {
    enum leaf_kind kind;
    int fd;
    int events_fd;
    struct leaf *next;
};

#define CGROUP_MOUNT "/sys/fs/cgroup"
#define CGROUP_BOX CGROUP_MOUNT "/box"
#define CGROUP_INIT CGROUP_MOUNT "/init"
#define CGROUP_BUILTIN CGROUP_MOUNT "/builtin"

void cgroups_open(void);
int cgroup_box(void);
/* Takes a process out of the box. */
void cgroup_exempt(pid_t pid);
bool cgroup_limit_tasks(uint64_t pids_max, struct failure *failure);

/* An empty leaf, or NULL with errno. */
struct leaf *leaf_take(enum leaf_kind kind);
void leaf_release(struct leaf *leaf);
void leaf_kill(const struct leaf *leaf);
void leaf_signal(const struct leaf *leaf, int number);

/* Processes the kernel killed in the container for want of memory, as last seen, and as of now. */
uint64_t oom_kills_seen(void);
uint64_t oom_kills_now(void);

/* Of the whole box. */
void box_signal(int number);
void box_kill(void);
void builtins_kill(void);
bool box_empty(void);
/* Tells every process of the container to stop, or to continue. */
bool box_freeze(bool freeze);
/* They all have stopped. A change ends the wait of the loop. */
bool box_frozen(void);
