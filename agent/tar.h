/* A PAX archive (POSIX.1-2008) as it is written to a descriptor. Names are bytes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "pax.h"

#define TAR_BLOCK_BYTES 512u
#define TAR_BUFFER_BYTES (64u * 1024u)

enum tar_type {
    TAR_FILE = '0',
    TAR_LINK = '1',
    TAR_SYMLINK = '2',
    TAR_CHARACTER = '3',
    TAR_BLOCK = '4',
    TAR_DIRECTORY = '5',
    TAR_FIFO = '6',
};

struct tar_entry {
    enum tar_type type;
    /* A directory's ends in a slash. */
    const char *name;
    /* What a link leads to, else NULL. */
    const char *link;
    mode_t mode;
    uint64_t uid;
    uint64_t gid;
    uint64_t size;
    struct timespec modified;
    unsigned major;
    unsigned minor;
};

struct tar {
    int fd;
    /* errno of the write that failed; nothing is written after it. */
    int error;
    size_t length;
    struct pax pax;
    uint8_t buffer[TAR_BUFFER_BYTES];
};

void tar_begin(struct tar *tar, int fd);
/* Starts the records of the next entry: attributes are put into `tar->pax` before its header is written. */
void tar_prepare(struct tar *tar);
/* The header of an entry, whose `size` bytes must follow. False if its records have no room: then nothing was written. */
bool tar_header(struct tar *tar, const struct tar_entry *entry);
/* Room for data that is to be read straight into the archive, and what of it was filled. */
uint8_t *tar_room(struct tar *tar, size_t *capacity);
void tar_filled(struct tar *tar, size_t length);
/* Up to `length` bytes of a file from `*at` on, without a copy. Returns what was sent, 0 at the file's end, -1 with errno. */
ssize_t tar_send(struct tar *tar, int file, uint64_t at, uint64_t length);
void tar_zeros(struct tar *tar, uint64_t length);
/* After the data: up to the next block. */
void tar_pad(struct tar *tar, uint64_t size);
/* The end of the archive. False with errno if any of it could not be written. */
bool tar_end(struct tar *tar);
