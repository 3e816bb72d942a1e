/* Signals of the host to an execution. */
#pragma once

#include <stdint.h>

#include "stream.h"

void signal_send(const struct stream *stream, enum signal_target target, uint32_t number);
