#include "frame.h"

#include <endian.h>
#include <stdbool.h>
#include <string.h>

/* No hello is longer, and few other bytes look like the header of one so short. */
#define MAX_HELLO_BYTES 4096u

enum where { CONNECTION, STREAM };

struct rule {
    bool allowed;
    enum where where;
    uint32_t min_length;
    uint32_t max_length;
    uint8_t max_flags;
};

static const struct rule rules[] = {
    [FRAME_HELLO] = {true, CONNECTION, 1, MAX_CONTROL_BYTES, 0},
    [FRAME_CONFIGURE] = {true, CONNECTION, 1, MAX_CONTROL_BYTES, 0},
    [FRAME_REQUEST] = {true, STREAM, 1, MAX_CONTROL_BYTES, 0},
    [FRAME_EXEC] = {true, STREAM, 1, MAX_CONTROL_BYTES, 0},
    [FRAME_STDIN] = {true, STREAM, 0, MAX_DATA_BYTES, FLAG_END},
    [FRAME_CREDIT] = {true, STREAM, 4, 4, CHANNEL_STDERR},
    [FRAME_SIGNAL] = {true, STREAM, 4, 4, SIGNAL_TARGET_TREE},
    [FRAME_RESIZE] = {true, STREAM, 4, 4, 0},
    [FRAME_DISCARD] = {true, STREAM, 0, 0, 0},
};

uint32_t load_u32(const uint8_t *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return le32toh(value);
}

uint16_t load_u16(const uint8_t *bytes)
{
    uint16_t value;
    memcpy(&value, bytes, sizeof value);
    return le16toh(value);
}

void store_u32(uint8_t *bytes, uint32_t value)
{
    value = htole32(value);
    memcpy(bytes, &value, sizeof value);
}

void frame_encode(uint8_t header[static HEADER_BYTES], const struct frame *frame)
{
    store_u32(header, frame->length);
    store_u32(header + 4, frame->stream);
    header[8] = frame->type;
    header[9] = frame->flags;
    header[10] = 0;
    header[11] = 0;
}

void frame_decode(struct frame *frame, const uint8_t header[static HEADER_BYTES])
{
    frame->length = load_u32(header);
    frame->stream = load_u32(header + 4);
    frame->type = header[8];
    frame->flags = header[9];
    frame->reserved = load_u16(header + 10);
}

const char *frame_problem(const struct frame *frame)
{
    if (frame->type >= sizeof rules / sizeof rules[0] || !rules[frame->type].allowed)
        return "a frame type the agent does not take";
    const struct rule *rule = &rules[frame->type];
    if (frame->reserved != 0)
        return "the reserved bytes of a header are not zero";
    if (rule->where == CONNECTION && frame->stream != 0)
        return "a frame of the connection names a stream";
    if (rule->where == STREAM && frame->stream == 0)
        return "a frame of a stream names none";
    if (frame->flags > rule->max_flags)
        return "unknown flags";
    if (frame->length < rule->min_length || frame->length > rule->max_length)
        return "a payload length out of bounds";
    return NULL;
}

size_t frame_seek_hello(const uint8_t *bytes, size_t length)
{
    size_t at = 0;
    for (struct frame frame; length - at >= HEADER_BYTES; at++) {
        frame_decode(&frame, bytes + at);
        if (frame.type == FRAME_HELLO && frame.length <= MAX_HELLO_BYTES && frame_problem(&frame) == NULL)
            break;
    }
    return at;
}
