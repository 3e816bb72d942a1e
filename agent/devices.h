/* The container's device filter: the kernel asks it before a device is opened or a node is made. */
#pragma once

/* Attaches the filter to a cgroup and all below it. */
void devices_restrict(int cgroup);
