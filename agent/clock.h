/* What a restored VM shares with its template and must not: the time and the state of the random generator. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "failure.h"

void entropy_open(void);
bool clock_set(uint64_t time_ns, struct failure *failure);
bool entropy_add(const void *bytes, size_t length, struct failure *failure);
