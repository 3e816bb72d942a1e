/* The search for a command in PATH. No system calls. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Docker's, for a request without one. */
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

const char *env_value(char *const env[], const char *name);
/* Writes the next candidate and moves `path` past it. 1: written; 0: no more; -1: too long, passed over. */
int path_next(const char **path, const char *command, char *candidate, size_t capacity);
