/* The container's root file system. Runs in the container's init, in its mount namespace. */
#pragma once

#include <stdbool.h>

#include "failure.h"

/* The directory of the disk that holds the box's own changes. */
#define UPPER_NAME "upper"

/* While the template boots: takes hold of the staged trees. */
void rootfs_prepare(void);
/* The container's procfs: its processes, under the numbers they have there. */
int rootfs_processes(void);
/* Mounts everything and makes it the root. `disk` becomes a descriptor of the writable layer's file system. */
bool rootfs_enter(const char *image_device, const char *disk_device, int *disk, struct failure *failure);
