/* Executions: from the request to the exit. */
#pragma once

#include <stdint.h>

#include "messages.h"

void exec_start(uint32_t stream_id, const struct exec_request *request);
/* Where capabilities come from, and whether commands may run at all. */
void exec_allow(uint64_t capabilities);
void exec_forbid(void);
