/* The end of the box: its processes are asked, then killed; its disk is left clean. */
#pragma once

#include <stdint.h>

void shutdown_begin(uint32_t stream, uint64_t grace_ms);
/* Once per turn of the loop. Returns the milliseconds until it must be called again, -1 for none. */
int shutdown_step(void);
