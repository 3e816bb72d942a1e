/* Capability sets of the process that calls. A mask has the bit of each capability's number. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "failure.h"

/* Limits what any later execve can give. */
bool capabilities_bound(uint64_t mask, struct failure *failure);
/* Gives up all others now; nothing is inheritable. */
bool capabilities_keep(uint64_t mask, struct failure *failure);
