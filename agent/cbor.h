/* The subset of CBOR the protocol uses: definite lengths, no tags, no floating point. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A decoder. The first error sets `bad`, and every later call fails, so callers check once at the end. */
struct cbor_in {
    uint8_t *at;
    uint8_t *end;
    bool bad;
};

struct text {
    char *at;
    size_t length;
};

bool cbor_map(struct cbor_in *in, uint32_t *pairs);
bool cbor_array(struct cbor_in *in, uint32_t *items);
bool cbor_text(struct cbor_in *in, struct text *text);
bool cbor_bytes(struct cbor_in *in, struct text *bytes);
bool cbor_unsigned(struct cbor_in *in, uint64_t limit, uint64_t *value);
/* A negative number is given as its two's complement, of which only the range of int64_t is taken. */
bool cbor_integer(struct cbor_in *in, uint64_t *value);
bool cbor_bool(struct cbor_in *in, bool *value);
/* Takes null if it comes next; anything else is left where it is. */
bool cbor_null(struct cbor_in *in);
/* Passes over one value that lies `depth` levels deep. */
bool cbor_skip(struct cbor_in *in, unsigned depth);
/* True if the whole input was taken without an error. */
bool cbor_done(const struct cbor_in *in);

/* The number of a key in `names`, -1 for an unknown one. A known key the second time is an error. */
int cbor_key(struct cbor_in *in, const char *const names[], unsigned count, uint32_t *seen);

/* Makes `text` a C string in place, without a copy elsewhere; false if it contains a NUL. */
bool text_terminate(struct text *text);
bool text_is(const struct text *text, const char *string);

/* An encoder into a buffer of fixed size; `full` once something did not fit. */
struct cbor_out {
    uint8_t *bytes;
    size_t length;
    size_t capacity;
    bool full;
};

void cbor_put_map(struct cbor_out *out, uint64_t pairs);
void cbor_put_array(struct cbor_out *out, uint64_t items);
void cbor_put_integer(struct cbor_out *out, int64_t value);
void cbor_put_bool(struct cbor_out *out, bool value);
void cbor_put_text(struct cbor_out *out, const char *string);
/* Bytes that need not be UTF-8: what is not, and control characters, become '?'. */
void cbor_put_foreign_text(struct cbor_out *out, const char *bytes, size_t length);
