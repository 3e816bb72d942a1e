/* Holding the box still, so that its disk can be copied: processes stopped, the file system whole and quiet. */
#pragma once

#include <stdint.h>

#include "messages.h"

/* Both answer by themselves, and doing either twice is doing it once. */
void freeze_begin(uint32_t stream, const struct request *request);
void freeze_end(uint32_t stream);
/* The box is to end: whatever is frozen goes on. */
void freeze_abandon(void);
/* Nobody waits for an answer any more. */
void freeze_forget(void);
/* What is due. Returns the milliseconds until there is more to do, -1 if nothing is. */
int freeze_step(void);
