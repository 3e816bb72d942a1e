/* From the kernel's hand-over to an agent that waits for the host. */
#pragma once

/* Before anything else: what an early failure needs in order to be seen. */
void boot_early(void);
/* Mounts, modules, and a root file system that pivot_root can leave. */
void boot_system(void);
