#include "diff_links.h"

#include <string.h>
#include <sys/mman.h>

#define SLOT_BITS 18u
#define SLOTS (1u << SLOT_BITS)
/* Probing stays short while a quarter of the slots is empty. */
#define MAX_LINKS (SLOTS / 4 * 3)
#define PATHS_BYTES (32u * 1024u * 1024u)

/* 2^64 divided by the golden ratio: neighbouring inode numbers land far apart. */
#define SPREAD 0x9e3779b97f4a7c15u

static void *map(size_t length)
{
    return mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

bool links_open(struct links *links)
{
    links->count = 0;
    links->used = 1;
    links->slots = map(SLOTS * sizeof *links->slots);
    if (links->slots == MAP_FAILED)
        return false;
    links->paths = map(PATHS_BYTES);
    if (links->paths != MAP_FAILED)
        return true;
    munmap(links->slots, SLOTS * sizeof *links->slots);
    return false;
}

void links_close(struct links *links)
{
    munmap(links->slots, SLOTS * sizeof *links->slots);
    munmap(links->paths, PATHS_BYTES);
}

const char *links_first(struct links *links, uint64_t inode, const char *path)
{
    uint64_t index = inode * SPREAD >> (64 - SLOT_BITS);
    for (; links->slots[index].at != 0; index = (index + 1) % SLOTS)
        if (links->slots[index].inode == inode)
            return links->paths + links->slots[index].at;
    size_t length = strlen(path) + 1;
    if (links->count == MAX_LINKS || length > PATHS_BYTES - links->used)
        return NULL;
    memcpy(links->paths + links->used, path, length);
    links->slots[index] = (struct link_slot){.inode = inode, .at = links->used};
    links->used += (uint32_t)length;
    links->count++;
    return NULL;
}
