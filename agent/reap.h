/* What becomes of a child: whether it ran, and how it ended. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "failure.h"
#include "stream.h"

bool reap_watch(struct stream *stream, int pidfd);
bool reap_watch_report(struct stream *stream, int fd);
void reap_report_failure(uint32_t stream_id, const struct failure *failure);
/* Takes the end of the process if it has ended, event or not. */
void reap_check(struct stream *stream);
