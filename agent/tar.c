#include "tar.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <unistd.h>

/* Offsets and widths of struct ustar. */
enum {
    NAME_AT = 0,
    MODE_AT = 100,
    UID_AT = 108,
    GID_AT = 116,
    SIZE_AT = 124,
    TIME_AT = 136,
    SUM_AT = 148,
    TYPE_AT = 156,
    LINK_AT = 157,
    MAGIC_AT = 257,
    MAJOR_AT = 329,
    MINOR_AT = 337,
    NAME_BYTES = 100,
    SMALL_DIGITS = 7,
    LARGE_DIGITS = 11,
    SUM_BYTES = 8,
};

#define PAX_TYPE 'x'
#define PAX_DIRECTORY "PaxHeaders/"

void tar_begin(struct tar *tar, int fd)
{
    tar->fd = fd;
    tar->error = 0;
    tar->length = 0;
    tar_prepare(tar);
}

void tar_prepare(struct tar *tar)
{
    tar->pax.length = 0;
    tar->pax.full = false;
}

static void flush(struct tar *tar)
{
    size_t written = 0;
    while (written < tar->length && tar->error == 0) {
        ssize_t length = write(tar->fd, tar->buffer + written, tar->length - written);
        if (length >= 0)
            written += (size_t)length;
        else if (errno != EINTR)
            tar->error = errno;
    }
    tar->length = 0;
}

uint8_t *tar_room(struct tar *tar, size_t *capacity)
{
    if (tar->length == sizeof tar->buffer)
        flush(tar);
    *capacity = sizeof tar->buffer - tar->length;
    return tar->buffer + tar->length;
}

void tar_filled(struct tar *tar, size_t length)
{
    tar->length += length;
}

ssize_t tar_send(struct tar *tar, int file, uint64_t at, uint64_t length)
{
    off_t offset = (off_t)at;
    flush(tar);
    ssize_t sent = sendfile(tar->fd, file, &offset, length);
    if (sent < 0 && errno == EPIPE)
        tar->error = errno;
    return sent;
}

static void put(struct tar *tar, const uint8_t *bytes, size_t length)
{
    while (length > 0) {
        size_t capacity;
        uint8_t *room = tar_room(tar, &capacity);
        size_t piece = length < capacity ? length : capacity;
        memcpy(room, bytes, piece);
        tar_filled(tar, piece);
        bytes += piece;
        length -= piece;
    }
}

void tar_zeros(struct tar *tar, uint64_t length)
{
    while (length > 0 && tar->error == 0) {
        size_t capacity;
        uint8_t *room = tar_room(tar, &capacity);
        size_t piece = length < capacity ? (size_t)length : capacity;
        memset(room, 0, piece);
        tar_filled(tar, piece);
        length -= piece;
    }
}

void tar_pad(struct tar *tar, uint64_t size)
{
    tar_zeros(tar, (TAR_BLOCK_BYTES - size % TAR_BLOCK_BYTES) % TAR_BLOCK_BYTES);
}

/* Octal, or zeros where a record says what has no room. True if it had. */
static bool put_octal(uint8_t *field, unsigned digits, uint64_t number)
{
    bool fits = number < (uint64_t)1 << 3 * digits;
    char text[16];
    snprintf(text, sizeof text, "%0*llo", (int)digits, fits ? (unsigned long long)number : 0ull);
    memcpy(field, text, digits);
    return fits;
}

/* A field is full without a NUL behind it. True if all of the text is in it. */
static bool put_text(uint8_t *field, const char *text)
{
    size_t length = strlen(text);
    memcpy(field, text, length < NAME_BYTES ? length : NAME_BYTES);
    return length <= NAME_BYTES;
}

static void put_block(struct tar *tar, uint8_t block[TAR_BLOCK_BYTES])
{
    unsigned sum = 0;
    char text[SUM_BYTES];
    memcpy(block + MAGIC_AT, "ustar\00000", 8);
    memset(block + SUM_AT, ' ', SUM_BYTES);
    for (unsigned i = 0; i < TAR_BLOCK_BYTES; i++)
        sum += block[i];
    snprintf(text, sizeof text, "%06o", sum);
    memcpy(block + SUM_AT, text, SUM_BYTES - 1);
    put(tar, block, TAR_BLOCK_BYTES);
}

/* The records, in an entry of their own before the one they speak of. */
static void put_records(struct tar *tar, const char *name)
{
    uint8_t block[TAR_BLOCK_BYTES] = {0};
    char own_name[NAME_BYTES];
    snprintf(own_name, sizeof own_name, PAX_DIRECTORY "%s", name);
    put_text(block + NAME_AT, own_name);
    put_octal(block + MODE_AT, SMALL_DIGITS, 0644);
    put_octal(block + UID_AT, SMALL_DIGITS, 0);
    put_octal(block + GID_AT, SMALL_DIGITS, 0);
    put_octal(block + SIZE_AT, LARGE_DIGITS, tar->pax.length);
    put_octal(block + TIME_AT, LARGE_DIGITS, 0);
    block[TYPE_AT] = PAX_TYPE;
    put_block(tar, block);
    put(tar, tar->pax.bytes, tar->pax.length);
    tar_pad(tar, tar->pax.length);
}

bool tar_header(struct tar *tar, const struct tar_entry *entry)
{
    uint8_t block[TAR_BLOCK_BYTES] = {0};
    struct pax *pax = &tar->pax;
    struct timespec modified = entry->modified;

    /* 1. Fields, and a record for each that is too small for its value. */
    if (!put_text(block + NAME_AT, entry->name))
        pax_put(pax, "path", entry->name, strlen(entry->name));
    if (entry->link != NULL && !put_text(block + LINK_AT, entry->link))
        pax_put(pax, "linkpath", entry->link, strlen(entry->link));
    put_octal(block + MODE_AT, SMALL_DIGITS, entry->mode & 07777);
    if (!put_octal(block + UID_AT, SMALL_DIGITS, entry->uid))
        pax_put_number(pax, "uid", entry->uid);
    if (!put_octal(block + GID_AT, SMALL_DIGITS, entry->gid))
        pax_put_number(pax, "gid", entry->gid);
    if (!put_octal(block + SIZE_AT, LARGE_DIGITS, entry->size))
        pax_put_number(pax, "size", entry->size);
    /* A time before 1970 is a number too large. */
    if (!put_octal(block + TIME_AT, LARGE_DIGITS, (uint64_t)modified.tv_sec) || modified.tv_nsec != 0)
        pax_put_time(pax, "mtime", modified);
    put_octal(block + MAJOR_AT, SMALL_DIGITS, entry->major);
    put_octal(block + MINOR_AT, SMALL_DIGITS, entry->minor);
    block[TYPE_AT] = (uint8_t)entry->type;

    /* 2. Records come first. */
    if (pax->full)
        return false;
    if (pax->length > 0)
        put_records(tar, entry->name);
    put_block(tar, block);
    return true;
}

bool tar_end(struct tar *tar)
{
    tar_zeros(tar, 2 * TAR_BLOCK_BYTES);
    flush(tar);
    errno = tar->error;
    return tar->error == 0;
}
