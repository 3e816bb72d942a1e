/* Hard links: the first path of each file that has several. Bounded; beyond that, names become files of their own. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct link_slot {
    uint64_t inode;
    /* Of the path in `paths`; 0 is an empty slot. */
    uint32_t at;
};

struct links {
    struct link_slot *slots;
    char *paths;
    uint32_t count;
    uint32_t used;
};

/* False with errno without memory. What is not used is not touched. */
bool links_open(struct links *links);
void links_close(struct links *links);
/* The path this inode was first seen under, or NULL: then it is `path` from now on. */
const char *links_first(struct links *links, uint64_t inode, const char *path);
