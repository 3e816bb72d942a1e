/* The user of an execution, from the files of the box. Runs in the child: a file that blocks holds up nobody else. */
#pragma once

#include <stdbool.h>

#include "failure.h"
#include "user.h"

bool identity_read(const char *user, struct identity *identity, struct failure *failure);
