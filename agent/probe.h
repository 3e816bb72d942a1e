/* Whether something in the box accepts TCP connections. The container shares the agent's network namespace. */
#pragma once

#include <stdint.h>

#include "messages.h"

/* Answers by itself: when one connection is made, when all are refused, or when the time is up. */
void probe_begin(uint32_t stream, const struct request *request);
/* Nobody waits for an answer any more. */
void probes_drop(void);
/* Ends what is past its deadline. Returns the milliseconds until the next one, -1 if there is none. */
int probes_expire(void);
