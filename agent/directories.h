/* Directories that an image wants to be there: where its commands begin, and its volumes. */
#pragma once

#include <stddef.h>

/* Makes those that are missing, with their parents, as root's. `paths` is changed on the way. One that cannot be made is told on the console:
 * whatever needs it will say so better. */
void directories_make(char *paths, size_t length);
