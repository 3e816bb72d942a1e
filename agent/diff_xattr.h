/* Extended attributes of one entry. */
#pragma once

#include <stdbool.h>

#include "pax.h"

/* What overlayfs notes on its upper layer by attributes of its own. */
struct overlay_marks {
    /* A directory that hides the one below it. */
    bool opaque;
    /* An entry that is whole only together with one elsewhere in the image. */
    bool partial;
};

/* Puts the attributes of what a path descriptor stands for into `pax`. False with errno if one could not be read. */
bool xattrs_read(int fd, struct pax *pax, struct overlay_marks *marks);
