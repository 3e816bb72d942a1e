/* Output of processes: read only when the host has granted credit and the port has room, in turns. */
#pragma once

#include <stdbool.h>

#include "stream.h"

void output_reset(struct stream *stream);
bool output_watch(struct output *output, int fd);
/* The channel has nothing of its own: with a terminal, stderr is part of stdout. */
void output_none(struct output *output);
void output_close(struct stream *stream);
void output_grant(struct stream *stream, enum channel channel, uint32_t bytes);
/* Nobody wants the rest: it is read and dropped, so that the process does not stall. */
void output_discard(struct stream *stream);
/* The process ended: its output ends where its pipe ends now. */
void output_exited(struct stream *stream);
bool output_waiting(void);
/* Moves one frame's worth of the next output that may be moved; false if there is none. */
bool output_next(void);
