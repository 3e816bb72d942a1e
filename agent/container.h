/* The container: namespaces, and a process that is PID 1 in them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "failure.h"

/* While the template boots: makes the namespaces and leaves their init waiting. */
void container_create(void);
/* Gives it its root file system. Returns when user processes may start. */
bool container_start(const char *hostname, uint64_t *mounted_us, struct failure *failure);
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
