/* Input of processes: at most a window of it waits here, and the host is granted again what was delivered. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "stream.h"

void input_reset(struct stream *stream);
void input_close(struct stream *stream);
/* The host is gone, and with it the end of input it might have sent. */
void input_orphan(struct stream *stream);
/* The process runs: a terminal takes what waited for that. */
void input_started(struct stream *stream);
/* False if the host sent more than it was granted. */
bool input_take(struct stream *stream, const uint8_t *bytes, uint32_t length, bool end);
