#include "frame.h"

#include "check.h"

static void a_header_survives_encoding(void)
{
    uint8_t header[HEADER_BYTES];
    struct frame frame;
    frame_encode(header, &(struct frame){0x01020304, 0xa0b0c0d0, FRAME_STDOUT, FLAG_END, 0});
    CHECK(header[0] == 4 && header[3] == 1 && header[4] == 0xd0 && header[8] == FRAME_STDOUT);
    frame_decode(&frame, header);
    CHECK(frame.length == 0x01020304 && frame.stream == 0xa0b0c0d0 && frame.type == FRAME_STDOUT);
    CHECK(frame.flags == FLAG_END && frame.reserved == 0);
}

static void what_the_host_may_send_is_accepted(void)
{
    static const struct frame good[] = {
        {10, 0, FRAME_HELLO, 0, 0},
        {10, 0, FRAME_CONFIGURE, 0, 0},
        {MAX_CONTROL_BYTES, 1, FRAME_EXEC, 0, 0},
        {0, 1, FRAME_STDIN, FLAG_END, 0},
        {MAX_DATA_BYTES, 1, FRAME_STDIN, 0, 0},
        {4, UINT32_MAX, FRAME_CREDIT, CHANNEL_STDERR, 0},
        {4, 1, FRAME_SIGNAL, SIGNAL_TARGET_TREE, 0},
        {4, 1, FRAME_RESIZE, 0, 0},
        {0, 1, FRAME_DISCARD, 0, 0},
        {1, 1, FRAME_REQUEST, 0, 0},
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        CHECK(frame_problem(&good[i]) == NULL);
}

static void everything_else_is_refused(void)
{
    static const struct frame bad[] = {
        {10, 1, FRAME_HELLO, 0, 0},
        {10, 0, FRAME_EXEC, 0, 0},
        {0, 1, FRAME_EXEC, 0, 0},
        {MAX_CONTROL_BYTES + 1, 1, FRAME_EXEC, 0, 0},
        {MAX_DATA_BYTES + 1, 1, FRAME_STDIN, 0, 0},
        {1, 1, FRAME_STDIN, 2, 0},
        {1, 1, FRAME_STDIN, 0, 1},
        {5, 1, FRAME_CREDIT, 0, 0},
        {4, 1, FRAME_CREDIT, 3, 0},
        {4, 1, FRAME_SIGNAL, 2, 0},
        {1, 1, FRAME_DISCARD, 0, 0},
        {1, 1, FRAME_STARTED, 0, 0},
        {1, 1, FRAME_STDOUT, 0, 0},
        {1, 1, 0, 0, 0},
        {1, 1, 255, 0, 0},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK(frame_problem(&bad[i]) != NULL);
}

static void a_hello_is_found_behind_the_rest_of_a_frame(void)
{
    uint8_t bytes[64] = {5, 0, 0};
    CHECK(frame_seek_hello(bytes, 3) == 0);
    frame_encode(bytes + 3, &(struct frame){20, 0, FRAME_HELLO, 0, 0});
    CHECK(frame_seek_hello(bytes, 3 + HEADER_BYTES - 1) == 3);
    CHECK(frame_seek_hello(bytes, sizeof bytes) == 3);
    memset(bytes, 0xff, sizeof bytes);
    CHECK(frame_seek_hello(bytes, sizeof bytes) == sizeof bytes - HEADER_BYTES + 1);
}

int main(void)
{
    a_hello_is_found_behind_the_rest_of_a_frame();
    a_header_survives_encoding();
    what_the_host_may_send_is_accepted();
    everything_else_is_refused();
    return 0;
}
