/* One large data frame, its payload on its way from a pipe to the port without passing through this process. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame.h"

void bulk_open(void);
/* Takes a frame: this header, and `length` bytes that `pipe` holds now. False when it cannot be done this way. */
bool bulk_take(const uint8_t header[HEADER_BYTES], int pipe, size_t length);
/* Bytes taken and not yet moved. */
size_t bulk_left(void);
/* Moves them to the port, all at once; clears `writable` when the port is full. */
void bulk_move(int port, bool *writable);
/* The connection is gone, and with it the frame. */
void bulk_drop(void);
