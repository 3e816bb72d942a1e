/* Requests of the host about the box as a whole. */
#pragma once

#include <stdint.h>

#include "failure.h"
#include "messages.h"

void request_run(uint32_t stream, const struct request *request);
void request_answer_empty(uint32_t stream);
void request_answer_failure(uint32_t stream, const struct failure *failure);
/* The host that asked is gone. */
void requests_forget(void);
