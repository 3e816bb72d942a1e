/* Extended header records of a PAX archive: what an entry says that a ustar header has no room for. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Two paths of PATH_MAX, what listxattr(2) can name, and numbers. */
#define PAX_BYTES (160u * 1024u)

struct pax {
    size_t length;
    /* A record did not fit; none after it was taken. */
    bool full;
    uint8_t bytes[PAX_BYTES];
};

void pax_put(struct pax *pax, const char *key, const void *value, size_t length);
void pax_put_number(struct pax *pax, const char *key, uint64_t number);
void pax_put_time(struct pax *pax, const char *key, struct timespec time);
/* An extended attribute, under the keyword that star, GNU tar, bsdtar and the OCI image specification use. */
void pax_put_xattr(struct pax *pax, const char *name, const void *value, size_t length);
