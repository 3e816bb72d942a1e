/* The box's own changes as a layer of an OCI image: the upper directory of the overlay, as a tar archive.
 *
 *   diff.c          the archive as a whole, and what is said of what could not be read
 *   diff_walk.c     directories, and what is left out
 *   diff_entry.c    one entry of each type
 *   diff_xattr.c    extended attributes, and what overlayfs says by its own
 *   diff_links.c    which of several names of a file came first
 *
 * The tree belongs to the box and changes while it is read. So each name is opened once, as a path descriptor that follows no
 * link, and everything else about the entry is asked of that descriptor.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "diff_links.h"
#include "tar.h"

/* A path of PATH_MAX with the prefix of a whiteout in its last component. */
#define DIFF_PATH_BYTES (PATH_MAX + 16)

struct diff {
    struct tar tar;
    struct links links;
    unsigned problems;
    size_t path_length;
    /* Of the entry at hand, relative to the root; empty for the root itself. */
    char path[DIFF_PATH_BYTES];
    char link[PATH_MAX];
};

/* Writes the archive of the directory `upper` to `out`, and a line to standard error for what could not be read.
 * Returns the exit status: 0 only if the archive is all there is. */
int diff_run(int upper, int out);

/* The rest is between the files named above. */

/* Says what is wrong with the entry at hand. `error` is an errno, 0 if there is none. */
void diff_problem(struct diff *diff, const char *what, int error);
/* What is in a directory, of which `diff->path` is the path with a slash behind it. Takes the descriptor over. */
void diff_walk(struct diff *diff, int directory);
/* The entry that `fd`, a path descriptor, stands for; `name` is the last component of its path. */
void diff_entry(struct diff *diff, int fd, const struct stat *status, const char *name);
/* The directory's own entry, and that it hides what lies below it. */
void diff_directory(struct diff *diff, int fd, const struct stat *status);
