/* The control groups:
 *
 *   init          the container's init, outside the limits it is not to use up
 *   box           limits of the container, its device filter, and the root of its cgroup namespace
 *   box/N         a leaf: one execution, and what it started
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "failure.h"

struct leaf {
    int fd;
    int events_fd;
    struct leaf *next;
};

#define CGROUP_MOUNT "/sys/fs/cgroup"
#define CGROUP_BOX CGROUP_MOUNT "/box"
#define CGROUP_INIT CGROUP_MOUNT "/init"

void cgroups_open(void);
int cgroup_box(void);
/* Takes a process out of the box. */
void cgroup_exempt(pid_t pid);
bool cgroup_limit_tasks(uint64_t pids_max, struct failure *failure);

/* An empty leaf, or NULL with errno. */
struct leaf *leaf_take(void);
void leaf_release(struct leaf *leaf);
void leaf_kill(const struct leaf *leaf);
void leaf_signal(const struct leaf *leaf, int number);

/* Processes the kernel killed in the container for want of memory, as last seen, and as of now. */
uint64_t oom_kills_seen(void);
uint64_t oom_kills_now(void);

/* Of the whole box. */
void box_signal(int number);
void box_kill(void);
bool box_empty(void);
/* Stops or continues every process of the container; true once they all have. */
bool box_freeze(bool freeze, int timeout_ms);
