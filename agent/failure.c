#include "failure.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const kind_names[] = {FAILURE_KIND_NAMES};

bool fail(struct failure *failure, enum failure_kind kind, const char *stage, int error, const char *format, ...)
{
    va_list arguments;
    failure->kind = kind;
    failure->error = error;
    snprintf(failure->stage, sizeof failure->stage, "%s", stage);
    va_start(arguments, format);
    vsnprintf(failure->message, sizeof failure->message, format, arguments);
    va_end(arguments);
    return false;
}

const char *failure_kind_name(enum failure_kind kind)
{
    return (unsigned)kind < LENGTH(kind_names) ? kind_names[kind] : "other";
}
