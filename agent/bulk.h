/* The payload of one large data frame, on its way from a pipe to the port without passing through this process. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

void bulk_open(void);
/* Takes up to `most` bytes out of `pipe`. Returns how many, 0 when there are none or they cannot be taken this way. */
size_t bulk_take(int pipe, size_t most);
/* Bytes taken and not yet moved. */
size_t bulk_left(void);
/* Moves them to the port, all at once; clears `writable` when the port is full. */
void bulk_move(int port, bool *writable);
/* The connection is gone, and with it the frame. */
void bulk_drop(void);
