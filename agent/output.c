#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "port.h"
#include "sink.h"

/* A process that fills the usual 64 KiB between two turns gets a pipe that holds a few frames more. */
#define BULK_PIPE_BYTES (256 * 1024)
/* Below this a copy is cheaper than a second buffer for the header. */
#define LEAST_SPLICE_BYTES (16 * 1024)
/* A pipe of packets (O_DIRECT) drops what a read leaves of one, and a packet has up to PIPE_BUF bytes: less credit is none. */
#define LEAST_CREDIT 4096
/* What a terminal may still hold: its line discipline's 4 KiB and the flip buffers behind it. */
#define TTY_HELD_BYTES (128 * 1024)

/* Outputs with something to move, oldest first. */
static struct output *first, *last;

static bool may_move(const struct output *output)
{
    return output->readable && !output->ended && (output->credit >= LEAST_CREDIT || output->left == 0);
}

static void enqueue(struct output *output)
{
    if (output->queued || !may_move(output))
        return;
    output->queued = true;
    output->next = NULL;
    if (first == NULL)
        first = output;
    else
        last->next = output;
    last = output;
}

static void output_ready(struct source *source, uint32_t events)
{
    struct output *output = (struct output *)source;
    (void)events;
    output->readable = true;
    enqueue(output);
}

void output_reset(struct stream *stream)
{
    for (unsigned i = 0; i < 2; i++) {
        struct output *output = &stream->outputs[i];
        output->credit = WINDOW_BYTES;
        output->left = UINT64_MAX;
        output->readable = output->enlarged = output->ended = false;
    }
}

bool output_watch(struct output *output, int fd)
{
    return loop_add(&output->source, fd, EPOLLIN | EPOLLET, output_ready);
}

static void finish(struct output *output)
{
    if (output->ended)
        return;
    output->ended = true;
    stream_send(output->stream, (uint8_t)output->type, FLAG_END, NULL, 0);
    loop_close(&output->source);
    stream_settle(output->stream);
}

void output_none(struct output *output)
{
    output->source.fd = -1;
}

void output_close(struct stream *stream)
{
    for (unsigned i = 0; i < 2; i++) {
        loop_close(&stream->outputs[i].source);
        stream->outputs[i].ended = true;
    }
}

void output_grant(struct stream *stream, enum channel channel, uint32_t bytes)
{
    struct output *output = &stream->outputs[channel - CHANNEL_STDOUT];
    output->credit += bytes;
    enqueue(output);
}

/* The end of what the process wrote, though others may still hold its pipe: they must not get SIGPIPE for it. */
static void finish_held(struct output *output)
{
    if (!output->stream->tty)
        sink_adopt(&output->source);
    finish(output);
}

void output_discard(struct stream *stream)
{
    stream->discard = true;
    for (unsigned i = 0; i < 2; i++) {
        struct output *output = &stream->outputs[i];
        if (output->ended)
            continue;
        sink_adopt(&output->source);
        if (stream->exited)
            finish(output);
    }
}

void output_exited(struct stream *stream)
{
    for (unsigned i = 0; i < 2; i++) {
        struct output *output = &stream->outputs[i];
        int held = 0;
        if (output->ended)
            continue;
        if (stream->discard) {
            finish(output);
            continue;
        }
        if (output->source.fd >= 0 && (stream->tty || ioctl(output->source.fd, FIONREAD, &held) < 0))
            held = TTY_HELD_BYTES;
        output->left = (uint64_t)held;
        output->readable = true;
        enqueue(output);
    }
}

bool output_waiting(void)
{
    return first != NULL;
}

static void account(struct output *output, size_t length)
{
    if (output->stream->exited)
        output->left -= length;
    output->credit -= length;
    if (length < PORT_COPY_BYTES || output->enlarged || output->stream->tty)
        return;
    output->enlarged = true;
    /* Refused where pipes are short of memory; the small pipe then does. */
    if (fcntl(output->source.fd, F_SETPIPE_SZ, BULK_PIPE_BYTES) < 0)
        return;
}

/* A pipe that holds a lot gives its pages to the port. False if there is too little of it, or it cannot be done. */
static bool move_pages(struct output *output, size_t most)
{
    int held = 0;
    if (output->stream->tty || !output->enlarged || ioctl(output->source.fd, FIONREAD, &held) < 0 || held < LEAST_SPLICE_BYTES)
        return false;
    size_t length = (size_t)held < most ? (size_t)held : most;
    if (!port_send_pipe((uint8_t)output->type, output->stream->id, output->source.fd, length))
        return false;
    account(output, length);
    return true;
}

static void move(struct output *output)
{
    struct stream *stream = output->stream;
    uint8_t *room = port_data_room();
    uint64_t bytes = output->credit < MAX_DATA_BYTES ? output->credit : MAX_DATA_BYTES;
    if (bytes > output->left)
        bytes = output->left;
    if (bytes == 0) {
        finish_held(output);
        return;
    }
    if (move_pages(output, (size_t)bytes))
        return;
    if (bytes > PORT_COPY_BYTES)
        bytes = PORT_COPY_BYTES;
    ssize_t length = read(output->source.fd, room, (size_t)bytes);
    if (length < 0 && errno == EINTR)
        return;
    if (length < 0 && errno == EAGAIN) {
        output->readable = false;
        if (stream->exited)
            finish_held(output);
        return;
    }
    /* A terminal whose last user is gone reads as EIO. */
    if (length <= 0) {
        finish(output);
        return;
    }
    port_send_data((uint8_t)output->type, stream->id, (size_t)length);
    account(output, (size_t)length);
}

bool output_next(void)
{
    struct output *output = first;
    if (output == NULL)
        return false;
    first = output->next;
    output->queued = false;
    if (may_move(output))
        move(output);
    enqueue(output);
    return true;
}
