/* Places in the image's tree to mount over. The image is hostile: nothing here follows a link out of its root. */
#pragma once

#include <stdbool.h>

#include "failure.h"

/* A directory at the root, made if it is missing. Returns a path descriptor, or -1 with `failure` filled. */
int target_directory(int root, const char *name, struct failure *failure);
/* A file in /etc, made if it is missing. */
int target_etc_file(int root, int etc, const char *name, struct failure *failure);
int target_etc(int root, struct failure *failure);
/* A sticky directory for everyone, unless the image has anything of that name. */
bool target_tmp(int root, struct failure *failure);
