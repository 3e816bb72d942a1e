/* Why something was not done, in the shape of the message Failure. Plain data: a child sends it through a pipe. */
#pragma once

#include <stdbool.h>

#include "protocol.h"
#include "sys.h"

struct failure {
    enum failure_kind kind;
    int error;
    char stage[24];
    char message[200];
};

/* Fills `failure` and returns false, so that a step can end with `return fail(…)`. */
bool fail(struct failure *failure, enum failure_kind kind, const char *stage, int error, const char *format, ...)
    PRINTF(5, 6);

const char *failure_kind_name(enum failure_kind kind);
