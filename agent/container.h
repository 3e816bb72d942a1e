/* The container: namespaces, and a process that is PID 1 in them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "failure.h"

struct clone_args;
struct path_list;

/* What init needs to know of a box. */
struct container_box {
    const char *hostname;
    /* See directories.h. */
    const struct path_list *directories;
};

/* While the template boots: makes the namespaces and leaves their init waiting. */
void container_create(void);
/* Gives it its root file system ahead of the start, for a template of it, and reads `files` of it. */
bool container_mount(const struct path_list *files, struct failure *failure);
/* Gives it its root file system unless it has it. Returns when user processes may start. */
bool container_start(const struct container_box *box, uint64_t *mounted_us, struct failure *failure);
/* clone3 of a child that the container neither sees nor reaches: in the agent's own pid namespace. */
pid_t container_clone_outside(struct clone_args *arguments);
/* Namespaces of the container, for setns. */
int container_namespaces(void);
/* A directory of the writable layer's file system, -1 before the start. */
int container_disk(void);
/* The container's own /dev/pts. */
int container_terminals(void);
/* The container's own /proc. */
int container_processes(void);
/* Ends the container's init, and with it every process of the container. */
void container_end(void);
