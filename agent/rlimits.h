/* Resource limits of an execution. */
#pragma once

#include <stdbool.h>

#include "failure.h"
#include "messages.h"

bool rlimits_apply(const struct exec_request *request, struct failure *failure);
