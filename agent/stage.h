/* Everything of the container's file systems that does not depend on the image, built in a place aside while the
 * template boots. Starting a box only moves these trees. */
#pragma once

#define STAGE "/stage"
#define STAGE_FILES STAGE "/files"
#define STAGE_DEV STAGE "/dev"
#define STAGE_PROC STAGE "/proc"
#define STAGE_SYS STAGE "/sys"
#define STAGE_IMAGE STAGE "/image"
#define STAGE_DISK STAGE "/disk"
#define STAGE_ROOT STAGE "/root"

/* In the agent's mount namespace, before the container's is copied from it: what both need. */
void stage_shared(void);
/* In the container's namespaces: what shows a namespace belongs to it. */
void stage_container(void);
