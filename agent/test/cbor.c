#include "cbor.h"

#include "check.h"
#include "protocol.h"
#include "sys.h"

/* A copy on the heap, so that the sanitizer sees a byte read too far. */
#define INPUT(...)                                                                                 \
    const uint8_t literal[] = {__VA_ARGS__};                                                       \
    uint8_t *copy = malloc(sizeof literal);                                                        \
    CHECK(copy != NULL);                                                                           \
    memcpy(copy, literal, sizeof literal);                                                         \
    struct cbor_in in = {.at = copy, .end = copy + sizeof literal}

static void integers_of_every_width_are_read(void)
{
    INPUT(0x17, 0x18, 0x18, 0x19, 0x01, 0x00, 0x1a, 0x00, 0x01, 0x00, 0x00, 0x1b, 0, 0, 0, 1, 0, 0, 0, 0, 0x20);
    const uint64_t expected[] = {23, 24, 256, 65536, 1ull << 32};
    uint64_t value;
    for (unsigned i = 0; i < LENGTH(expected); i++) {
        CHECK(cbor_unsigned(&in, UINT64_MAX, &value));
        CHECK(value == expected[i]);
    }
    CHECK(cbor_integer(&in, &value) && value == UINT64_MAX);
    CHECK(cbor_done(&in));
    free(copy);
}

static void an_integer_beyond_its_limit_is_an_error(void)
{
    INPUT(0x18, 0x64);
    uint64_t value;
    CHECK(!cbor_unsigned(&in, 99, &value) && in.bad);
    free(copy);
}

static void a_count_beyond_the_input_is_an_error(void)
{
    INPUT(0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff);
    uint32_t items;
    CHECK(!cbor_array(&in, &items));
    free(copy);
}

static void indefinite_lengths_tags_and_floats_are_errors(void)
{
    static const uint8_t heads[] = {0x5f, 0x7f, 0x9f, 0xbf, 0xc0, 0xf9, 0xfa, 0xfb, 0xf7, 0xff, 0xf8, 0x1c};
    for (unsigned i = 0; i < sizeof heads; i++) {
        uint8_t bytes[16] = {heads[i]};
        struct cbor_in in = {.at = bytes, .end = bytes + sizeof bytes};
        CHECK(!cbor_skip(&in, 1));
    }
}

static void nesting_is_bounded(void)
{
    uint8_t bytes[MAX_CBOR_DEPTH + 1];
    memset(bytes, 0x81, sizeof bytes);
    bytes[MAX_CBOR_DEPTH] = 0;
    struct cbor_in deep = {.at = bytes, .end = bytes + sizeof bytes};
    CHECK(!cbor_skip(&deep, 1));
    struct cbor_in shallow = {.at = bytes + 1, .end = bytes + sizeof bytes};
    CHECK(cbor_skip(&shallow, 1) && cbor_done(&shallow));
}

static void keys_of_a_skipped_map_must_be_texts(void)
{
    INPUT(0xa1, 0x01, 0x02);
    CHECK(!cbor_skip(&in, 1));
    free(copy);
}

static void a_known_key_twice_is_an_error(void)
{
    static const char *const names[] = {"a"};
    INPUT(0x61, 'a', 0x61, 'a');
    uint32_t seen = 0;
    CHECK(cbor_key(&in, names, 1, &seen) == 0 && !in.bad);
    CHECK(cbor_key(&in, names, 1, &seen) == -1 && in.bad);
    free(copy);
}

static void a_text_is_terminated_in_place(void)
{
    INPUT(0x63, 'a', 'b', 'c', 0x62, 'd', 0);
    struct text text;
    CHECK(cbor_text(&in, &text) && text_terminate(&text));
    CHECK(strcmp(text.at, "abc") == 0);
    CHECK(cbor_text(&in, &text) && !text_terminate(&text));
    free(copy);
}

static void what_is_written_can_be_read(void)
{
    uint8_t bytes[64];
    struct cbor_out out = {.bytes = bytes, .capacity = sizeof bytes};
    cbor_put_map(&out, 1);
    cbor_put_text(&out, "n");
    cbor_put_array(&out, 3);
    cbor_put_integer(&out, -300);
    cbor_put_integer(&out, 70000);
    cbor_put_bool(&out, true);
    CHECK(!out.full);
    struct cbor_in in = {.at = bytes, .end = bytes + out.length};
    uint32_t count;
    struct text text;
    uint64_t value;
    bool truth;
    CHECK(cbor_map(&in, &count) && count == 1);
    CHECK(cbor_text(&in, &text) && text_is(&text, "n"));
    CHECK(cbor_array(&in, &count) && count == 3);
    CHECK(cbor_integer(&in, &value) && (int64_t)value == -300);
    CHECK(cbor_integer(&in, &value) && value == 70000);
    CHECK(cbor_bool(&in, &truth) && truth && cbor_done(&in));
}

static void an_encoder_without_room_writes_nothing_beyond(void)
{
    uint8_t bytes[4] = {0, 0, 0, 0xee};
    struct cbor_out out = {.bytes = bytes, .capacity = 3};
    cbor_put_text(&out, "abc");
    CHECK(out.full && bytes[3] == 0xee);
}

static void text_that_is_not_utf8_becomes_it(void)
{
    uint8_t bytes[32];
    struct cbor_out out = {.bytes = bytes, .capacity = sizeof bytes};
    cbor_put_foreign_text(&out, "a\xff\xc3\xa9\n\xed\xa0\x80\xe2\x82", 10);
    CHECK(out.length == 11 && memcmp(bytes + 1, "a?\xc3\xa9?????\?", 10) == 0);
}

int main(void)
{
    integers_of_every_width_are_read();
    an_integer_beyond_its_limit_is_an_error();
    a_count_beyond_the_input_is_an_error();
    indefinite_lengths_tags_and_floats_are_errors();
    nesting_is_bounded();
    keys_of_a_skipped_map_must_be_texts();
    a_known_key_twice_is_an_error();
    a_text_is_terminated_in_place();
    what_is_written_can_be_read();
    an_encoder_without_room_writes_nothing_beyond();
    text_that_is_not_utf8_becomes_it();
    return 0;
}
