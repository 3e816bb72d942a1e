#include "cbor.h"

#include <endian.h>
#include <string.h>

#include "protocol.h"

enum major { UNSIGNED, NEGATIVE, BYTES, TEXT, ARRAY, MAP, TAG, SIMPLE };
enum { SIMPLE_FALSE = 20, SIMPLE_TRUE = 21, SIMPLE_NULL = 22 };

static bool spoil(struct cbor_in *in)
{
    in->bad = true;
    return false;
}

static size_t remaining(const struct cbor_in *in)
{
    return (size_t)(in->end - in->at);
}

/* The initial byte and its argument. Arguments 28 to 31 are reserved or of indefinite length. */
static bool read_head(struct cbor_in *in, unsigned *major, uint64_t *argument)
{
    if (in->bad || remaining(in) < 1)
        return spoil(in);
    *major = *in->at >> 5;
    unsigned info = *in->at & 31u;
    in->at++;
    if (info < 24) {
        *argument = info;
        return true;
    }
    if (info > 27)
        return spoil(in);
    size_t bytes = (size_t)1 << (info - 24);
    if (remaining(in) < bytes)
        return spoil(in);
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | in->at[i];
    in->at += bytes;
    *argument = value;
    return true;
}

static bool read_expected(struct cbor_in *in, unsigned expected, uint64_t *argument)
{
    unsigned major;
    if (!read_head(in, &major, argument))
        return false;
    return major == expected || spoil(in);
}

/* Each item takes a byte at least, so a count beyond what is left is a lie, found before it sizes anything. */
static bool read_count(struct cbor_in *in, unsigned expected, uint64_t bytes_each, uint32_t *count)
{
    uint64_t value;
    if (!read_expected(in, expected, &value))
        return false;
    if (value > remaining(in) / bytes_each || value > UINT32_MAX)
        return spoil(in);
    *count = (uint32_t)value;
    return true;
}

static bool read_span(struct cbor_in *in, unsigned expected, struct text *span)
{
    uint32_t length;
    if (!read_count(in, expected, 1, &length))
        return false;
    span->at = (char *)in->at;
    span->length = length;
    in->at += length;
    return true;
}

bool cbor_map(struct cbor_in *in, uint32_t *pairs)
{
    return read_count(in, MAP, 2, pairs);
}

bool cbor_array(struct cbor_in *in, uint32_t *items)
{
    return read_count(in, ARRAY, 1, items);
}

bool cbor_text(struct cbor_in *in, struct text *text)
{
    return read_span(in, TEXT, text);
}

bool cbor_bytes(struct cbor_in *in, struct text *bytes)
{
    return read_span(in, BYTES, bytes);
}

bool cbor_unsigned(struct cbor_in *in, uint64_t limit, uint64_t *value)
{
    if (!read_expected(in, UNSIGNED, value))
        return false;
    return *value <= limit || spoil(in);
}

bool cbor_integer(struct cbor_in *in, uint64_t *value)
{
    unsigned major;
    if (!read_head(in, &major, value))
        return false;
    if (major == UNSIGNED)
        return true;
    if (major != NEGATIVE || *value > INT64_MAX)
        return spoil(in);
    *value = ~*value;
    return true;
}

bool cbor_bool(struct cbor_in *in, bool *value)
{
    uint64_t simple;
    if (!read_expected(in, SIMPLE, &simple))
        return false;
    *value = simple == SIMPLE_TRUE;
    return simple == SIMPLE_TRUE || simple == SIMPLE_FALSE || spoil(in);
}

bool cbor_null(struct cbor_in *in)
{
    if (in->bad || remaining(in) < 1 || *in->at != (SIMPLE << 5 | SIMPLE_NULL))
        return false;
    in->at++;
    return true;
}

bool cbor_skip(struct cbor_in *in, unsigned depth)
{
    unsigned major;
    uint64_t argument;
    uint8_t first = in->bad || remaining(in) < 1 ? 0 : *in->at;
    if (depth > MAX_CBOR_DEPTH || !read_head(in, &major, &argument))
        return spoil(in);
    switch (major) {
    case UNSIGNED:
    case NEGATIVE:
        return true;
    case BYTES:
    case TEXT:
        if (argument > remaining(in))
            return spoil(in);
        in->at += argument;
        return true;
    case ARRAY:
    case MAP:
        if (argument > remaining(in))
            return spoil(in);
        for (uint64_t i = 0; i < (major == MAP ? 2 : 1) * argument; i++) {
            struct text key;
            bool is_key = major == MAP && i % 2 == 0;
            if (!(is_key ? cbor_text(in, &key) : cbor_skip(in, depth + 1)))
                return false;
        }
        return true;
    case SIMPLE:
        return (first >= (SIMPLE << 5 | SIMPLE_FALSE) && first <= (SIMPLE << 5 | SIMPLE_NULL)) || spoil(in);
    default:
        return spoil(in);
    }
}

bool cbor_done(const struct cbor_in *in)
{
    return !in->bad && in->at == in->end;
}

int cbor_key(struct cbor_in *in, const char *const names[], unsigned count, uint32_t *seen)
{
    struct text key;
    if (!cbor_text(in, &key))
        return -1;
    for (unsigned i = 0; i < count; i++) {
        if (!text_is(&key, names[i]))
            continue;
        if (*seen & 1u << i) {
            spoil(in);
            return -1;
        }
        *seen |= 1u << i;
        return (int)i;
    }
    return -1;
}

bool text_is(const struct text *text, const char *string)
{
    return strlen(string) == text->length && memcmp(text->at, string, text->length) == 0;
}

/* The head in front of a text is spent once decoded: the text moves onto its last byte and leaves room for a NUL. */
bool text_terminate(struct text *text)
{
    if (memchr(text->at, 0, text->length) != NULL)
        return false;
    text->at = memmove(text->at - 1, text->at, text->length);
    text->at[text->length] = '\0';
    return true;
}

static void put(struct cbor_out *out, const void *bytes, size_t length)
{
    if (out->full || length > out->capacity - out->length) {
        out->full = true;
        return;
    }
    memcpy(out->bytes + out->length, bytes, length);
    out->length += length;
}

static void put_head(struct cbor_out *out, enum major major, uint64_t argument)
{
    uint8_t head[9];
    unsigned info = argument < 24 ? (unsigned)argument : argument <= UINT8_MAX ? 24 : argument <= UINT16_MAX ? 25
        : argument <= UINT32_MAX ? 26 : 27;
    size_t bytes = info < 24 ? 0 : (size_t)1 << (info - 24);
    head[0] = (uint8_t)((unsigned)major << 5 | info);
    for (size_t i = 0; i < bytes; i++)
        head[1 + i] = (uint8_t)(argument >> 8 * (bytes - 1 - i));
    put(out, head, 1 + bytes);
}

void cbor_put_map(struct cbor_out *out, uint64_t pairs)
{
    put_head(out, MAP, pairs);
}

void cbor_put_array(struct cbor_out *out, uint64_t items)
{
    put_head(out, ARRAY, items);
}

void cbor_put_integer(struct cbor_out *out, int64_t value)
{
    if (value < 0)
        put_head(out, NEGATIVE, ~(uint64_t)value);
    else
        put_head(out, UNSIGNED, (uint64_t)value);
}

void cbor_put_bool(struct cbor_out *out, bool value)
{
    put_head(out, SIMPLE, value ? SIMPLE_TRUE : SIMPLE_FALSE);
}

void cbor_put_text(struct cbor_out *out, const char *string)
{
    cbor_put_foreign_text(out, string, strlen(string));
}

/* Length of the UTF-8 sequence at `bytes`, 0 if there is none. Overlong forms and surrogates are none. */
static size_t utf8_length(const uint8_t *bytes, size_t left)
{
    uint8_t first = bytes[0];
    size_t length = first < 0x80 ? 1 : first >= 0xc2 && first < 0xe0 ? 2 : (first & 0xf0) == 0xe0 ? 3
        : first >= 0xf0 && first < 0xf5 ? 4 : 0;
    if (length == 0 || length > left)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
    if ((first == 0xe0 && bytes[1] < 0xa0) || (first == 0xed && bytes[1] >= 0xa0) || (first == 0xf0 && bytes[1] < 0x90)
        || (first == 0xf4 && bytes[1] >= 0x90))
        return 0;
    return length;
}

void cbor_put_foreign_text(struct cbor_out *out, const char *bytes, size_t length)
{
    put_head(out, TEXT, length);
    size_t start = out->length;
    put(out, bytes, length);
    if (out->full)
        return;
    for (uint8_t *at = out->bytes + start, *end = at + length; at < end;) {
        size_t valid = utf8_length(at, (size_t)(end - at));
        if (valid == 0 || *at < ' ' || *at == 0x7f) {
            *at = '?';
            valid = 1;
        }
        at += valid;
    }
}
