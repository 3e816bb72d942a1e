#include "input.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cbor.h"
#include "frame.h"
#include "sys.h"

/* Granted in pieces of this size: the rest of the window keeps the host busy meanwhile. */
#define GRANT_BYTES (WINDOW_BYTES / 4)

void input_reset(struct stream *stream)
{
    struct input *input = &stream->input;
    input->source.fd = -1;
    input->start = input->length = input->owed = 0;
    input->granted = WINDOW_BYTES;
    input->watched = input->end = input->failed = false;
}

static void close_pipe(struct stream *stream)
{
    struct input *input = &stream->input;
    if (input->watched)
        loop_close(&input->source);
    else if (input->source.fd >= 0)
        close(input->source.fd);
    input->source.fd = -1;
}

void input_close(struct stream *stream)
{
    struct input *input = &stream->input;
    close_pipe(stream);
    input->start = input->length = 0;
    if (input->bytes != NULL && munmap(input->bytes, WINDOW_BYTES) < 0)
        die("munmap of a window");
    input->bytes = NULL;
}

void input_orphan(struct stream *stream)
{
    input_close(stream);
}

static void grant(struct stream *stream)
{
    struct input *input = &stream->input;
    uint8_t payload[4];
    if (input->owed < GRANT_BYTES)
        return;
    store_u32(payload, input->owed);
    stream_send(stream, FRAME_CREDIT, CHANNEL_STDIN, payload, sizeof payload);
    input->granted += input->owed;
    input->owed = 0;
}

static void report_failure(struct stream *stream, int error)
{
    uint8_t payload[16];
    struct cbor_out out = {.bytes = payload, .capacity = sizeof payload};
    cbor_put_map(&out, 1);
    cbor_put_text(&out, "errno");
    cbor_put_integer(&out, error);
    stream_send(stream, FRAME_STDIN_FAILED, 0, payload, out.length);
}

static void drop(struct stream *stream)
{
    struct input *input = &stream->input;
    input->owed += input->length;
    input_close(stream);
}

/* Bytes the process took; after an error it takes everything, to nowhere. */
static uint32_t deliver(struct stream *stream, const uint8_t *bytes, uint32_t length)
{
    struct input *input = &stream->input;
    uint32_t done = 0;
    while (done < length && input->source.fd >= 0) {
        ssize_t written = write(input->source.fd, bytes + done, length - done);
        if (written >= 0) {
            done += (uint32_t)written;
        } else if (errno == EAGAIN) {
            return done;
        } else if (errno != EINTR) {
            if (!input->failed)
                report_failure(stream, errno);
            input->failed = true;
            close_pipe(stream);
        }
    }
    return length;
}

/* Without a process on it, a terminal would make no signal of a control character. */
static bool deliverable(const struct stream *stream)
{
    return stream->running || !stream->tty;
}

static void deliver_waiting(struct stream *stream)
{
    struct input *input = &stream->input;
    while (input->length > 0 && deliverable(stream)) {
        uint32_t piece = WINDOW_BYTES - input->start < input->length ? WINDOW_BYTES - input->start : input->length;
        uint32_t done = deliver(stream, input->bytes + input->start, piece);
        input->start = (input->start + done) % WINDOW_BYTES;
        input->length -= done;
        input->owed += done;
        if (done < piece)
            break;
    }
    /* End of input means nothing to a terminal: its user types it. */
    if (input->length == 0 && input->end && !stream->tty)
        close_pipe(stream);
    grant(stream);
}

static void input_ready(struct source *source, uint32_t events)
{
    struct input *input = (struct input *)source;
    (void)events;
    deliver_waiting((struct stream *)((char *)input - offsetof(struct stream, input)));
}

/* Most input is taken at once, so only a process that lags costs a buffer and a place in the epoll set. */
static bool keep(struct stream *stream, const uint8_t *bytes, uint32_t length)
{
    struct input *input = &stream->input;
    if (input->bytes == NULL) {
        void *memory = mmap(NULL, WINDOW_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED || madvise(memory, WINDOW_BYTES, MADV_DONTFORK) < 0)
            return false;
        input->bytes = memory;
    }
    if (!input->watched) {
        if (!loop_add(&input->source, input->source.fd, EPOLLOUT | EPOLLET, input_ready))
            return false;
        input->watched = true;
    }
    uint32_t at = (input->start + input->length) % WINDOW_BYTES;
    uint32_t piece = WINDOW_BYTES - at < length ? WINDOW_BYTES - at : length;
    memcpy(input->bytes + at, bytes, piece);
    memcpy(input->bytes, bytes + piece, length - piece);
    input->length += length;
    return true;
}

void input_started(struct stream *stream)
{
    deliver_waiting(stream);
}

bool input_take(struct stream *stream, const uint8_t *bytes, uint32_t length, bool end)
{
    struct input *input = &stream->input;
    if (length > input->granted)
        return false;
    input->granted -= length;
    uint32_t done = input->length > 0 || !deliverable(stream) ? 0 : deliver(stream, bytes, length);
    input->owed += done;
    if (done < length && !keep(stream, bytes + done, length - done)) {
        report_failure(stream, errno);
        input->failed = true;
        input->owed += length - done;
        drop(stream);
    }
    input->end = input->end || end;
    deliver_waiting(stream);
    return true;
}
