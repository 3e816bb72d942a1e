#include "stream.h"

#include <string.h>

#include "input.h"
#include "output.h"
#include "port.h"
#include "reap.h"
#include "sys.h"

static struct stream streams[MAX_STREAMS];
/* Entries beyond have never been used: what a search may leave out. */
static unsigned high_water;
static struct stream *last_found;
static unsigned deadlines;

void streams_open(void)
{
    for (unsigned i = 0; i < MAX_STREAMS; i++) {
        struct stream *stream = &streams[i];
        stream->status.fd = stream->process.fd = stream->input.source.fd = -1;
        for (unsigned channel = 0; channel < 2; channel++) {
            stream->outputs[channel].source.fd = -1;
            stream->outputs[channel].stream = stream;
            stream->outputs[channel].type = channel == 0 ? FRAME_STDOUT : FRAME_STDERR;
        }
    }
}

struct stream *stream_find(uint32_t id)
{
    if (last_found != NULL && last_found->used && !last_found->orphan && last_found->id == id)
        return last_found;
    for (unsigned i = 0; i < high_water; i++)
        if (streams[i].used && !streams[i].orphan && streams[i].id == id)
            return last_found = &streams[i];
    return NULL;
}

struct stream *stream_add(uint32_t id)
{
    unsigned i = 0;
    while (i < high_water && streams[i].used)
        i++;
    if (i == MAX_STREAMS)
        return NULL;
    if (i == high_water)
        high_water++;
    struct stream *stream = &streams[i];
    stream->id = id;
    stream->used = true;
    stream->orphan = stream->discard = stream->tty = stream->running = stream->exited = stream->timed_out = false;
    stream->pid = 0;
    stream->leaf = NULL;
    stream->deadline_us = 0;
    output_reset(stream);
    input_reset(stream);
    return last_found = stream;
}

void stream_drop(struct stream *stream)
{
    loop_close(&stream->status);
    loop_close(&stream->process);
    input_close(stream);
    output_close(stream);
    if (stream->leaf != NULL)
        leaf_release(stream->leaf);
    if (stream->deadline_us != 0)
        deadlines--;
    stream->deadline_us = 0;
    stream->used = false;
}

/* Asked from every place that may have been the last, so also when it is gone already. */
void stream_settle(struct stream *stream)
{
    if (stream->used && stream->exited && stream->outputs[0].ended && stream->outputs[1].ended)
        stream_drop(stream);
}

void stream_orphan_all(void)
{
    for (unsigned i = 0; i < high_water; i++) {
        struct stream *stream = &streams[i];
        if (!stream->used || stream->orphan)
            continue;
        stream->orphan = true;
        input_orphan(stream);
        output_discard(stream);
    }
}

void stream_reap_all(void)
{
    for (unsigned i = 0; i < high_water; i++)
        if (streams[i].used)
            reap_check(&streams[i]);
}

void stream_set_deadline(struct stream *stream, uint64_t deadline_us)
{
    stream->deadline_us = deadline_us;
    deadlines++;
}

int stream_expire(void)
{
    if (deadlines == 0)
        return -1;
    uint64_t now = now_us();
    uint64_t next = UINT64_MAX;
    for (unsigned i = 0; i < high_water; i++) {
        struct stream *stream = &streams[i];
        if (!stream->used || stream->deadline_us == 0)
            continue;
        if (stream->deadline_us > now) {
            if (stream->deadline_us < next)
                next = stream->deadline_us;
            continue;
        }
        stream->deadline_us = 0;
        deadlines--;
        if (!stream->exited) {
            stream->timed_out = true;
            leaf_kill(stream->leaf);
        }
    }
    if (next == UINT64_MAX)
        return -1;
    uint64_t wait_ms = (next - now + 999) / 1000;
    return wait_ms > INT32_MAX ? INT32_MAX : (int)wait_ms;
}

void stream_send(const struct stream *stream, uint8_t type, uint8_t flags, const void *payload, size_t length)
{
    if (!stream->orphan)
        port_send(type, stream->id, flags, payload, length);
}
