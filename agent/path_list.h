/* Absolute paths, each with its NUL, as they come from the host and go on to init. */
#pragma once

#include <stddef.h>

#define PATH_LIST_BYTES (16u * 1024)

struct path_list {
    size_t length;
    char bytes[PATH_LIST_BYTES];
};
