/* Files that commands will read, read ahead of the first. */
#pragma once

#include <stddef.h>

/* Reads them into the page cache, where a template keeps them for its boxes. What is not there, or is no regular file, is left; so is what is
 * beyond 16 MiB in all. The caller has entered the box's root, in which nothing runs yet. */
void files_read(const char *paths, size_t length);
