/* The program of an execution: found as execvpe would, with an error that says what is wrong. */
#pragma once

#include <stdbool.h>

#include "failure.h"
#include "messages.h"

/* Returns only on failure. */
bool program_run(const struct exec_request *request, const char *home, struct failure *failure);
