#include "port.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bulk.h"
#include "connection.h"
#include "loop.h"
#include "output.h"
#include "sys.h"

/* The most one write hands to the device: virtio_console cuts longer ones. */
#define DEVICE_BYTES (HEADER_BYTES + PORT_COPY_BYTES)
/* virtio_console fills buffers of a page, and a read returns no more than one. */
#define READ_BYTES 4096u
#define RECEIVE_BYTES (HEADER_BYTES + MAX_CONTROL_BYTES + READ_BYTES)
/* With this much unsent nothing more is read from the host, so its requests cannot grow the queue. */
#define CONTROL_PAUSE (256u * 1024u)
/* Above the pause: the largest answer, and what every stream may still say by itself. */
#define CONTROL_BYTES (1024u * 1024u)
/* A turn's share of each direction, so that neither starves the other or the timeouts. */
#define READS_PER_TURN 64
#define FRAMES_PER_TURN 16
#define DATA_FRAMES_PER_TURN 16
/* Memory of a large request goes back to the system: a fork copies the page tables of what is touched. */
#define KEEP_BYTES (64u * 1024u)

static struct source source = {.fd = -1};
static bool connected, readable, writable, refused, announce;
/* After a hang-up the port may still hold bytes of the old connection, and nothing marks where they end. */
static bool seeking;

static uint8_t *received;
static size_t received_length, received_peak;
/* The turn ended with frames received and not yet looked at. */
static bool backlog;

static uint8_t *control;
static size_t control_start, control_end;

static uint8_t *data;
static size_t data_length;

static void forget_connection(void)
{
    received_length = 0;
    backlog = false;
    control_start = control_end = 0;
    data_length = 0;
    bulk_drop();
    refused = false;
    seeking = true;
    connection_lost();
}

/* Edge-triggered: a port without a host reports a hang-up for as long as that lasts. */
static void port_ready(struct source *self, uint32_t events)
{
    (void)self;
    if (events & EPOLLHUP) {
        if (connected)
            forget_connection();
        connected = false;
        readable = false;
        writable = false;
        return;
    }
    connected = true;
    if (events & EPOLLIN)
        readable = true;
    if (events & EPOLLOUT)
        writable = true;
}

static uint8_t *map_buffer(size_t length)
{
    void *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        die("mmap of a port buffer");
    return memory;
}

/* Output is of no use to a child, and without it a fork has fewer pages to protect. */
static uint8_t *map_output_buffer(size_t length)
{
    uint8_t *memory = map_buffer(length);
    if (madvise(memory, length, MADV_DONTFORK) < 0)
        die("madvise of a port buffer");
    return memory;
}

void port_open(int fd)
{
    received = map_buffer(RECEIVE_BYTES);
    control = map_output_buffer(CONTROL_BYTES);
    data = map_output_buffer(DEVICE_BYTES);
    /* Touched now, these pages are part of the template and cost a restored VM no fault. */
    memset(received, 0, KEEP_BYTES);
    memset(control, 0, READ_BYTES);
    memset(data, 0, DEVICE_BYTES);
    if (!loop_add(&source, fd, EPOLLIN | EPOLLOUT | EPOLLET, port_ready))
        die("epoll_ctl of the port");
}

void port_announce(void)
{
    announce = true;
}

bool port_connected(void)
{
    struct pollfd state = {.fd = source.fd, .events = POLLOUT};
    return poll(&state, 1, 0) >= 0 && !(state.revents & POLLHUP);
}

void port_await_hang_up(int timeout_ms)
{
    struct pollfd state = {.fd = source.fd, .events = 0};
    if (poll(&state, 1, timeout_ms) < 0)
        console_line("poll: %s", strerror(errno));
}

bool port_idle(void)
{
    return data_length == 0 && bulk_left() == 0 && control_start == control_end;
}

void port_send(uint8_t type, uint32_t stream, uint8_t flags, const void *payload, size_t length)
{
    if (refused && type != FRAME_PROTOCOL_ERROR)
        return;
    if (control_start > 0 && CONTROL_BYTES - control_end < HEADER_BYTES + length) {
        memmove(control, control + control_start, control_end - control_start);
        control_end -= control_start;
        control_start = 0;
    }
    if (CONTROL_BYTES - control_end < HEADER_BYTES + length) {
        console_line("the queue of control frames is full");
        refused = true;
        return;
    }
    frame_encode(control + control_end, &(struct frame){(uint32_t)length, stream, type, flags, 0});
    if (length > 0)
        memcpy(control + control_end + HEADER_BYTES, payload, length);
    control_end += HEADER_BYTES + length;
}

uint8_t *port_data_room(void)
{
    return data_length > 0 || bulk_left() > 0 ? NULL : data + HEADER_BYTES;
}

void port_send_data(uint8_t type, uint32_t stream, size_t length)
{
    frame_encode(data, &(struct frame){(uint32_t)length, stream, type, 0, 0});
    data_length = HEADER_BYTES + length;
}

bool port_send_pipe(uint8_t type, uint32_t stream, int pipe, size_t length)
{
    uint8_t header[HEADER_BYTES];
    frame_encode(header, &(struct frame){(uint32_t)length, stream, type, 0, 0});
    return bulk_take(header, pipe, length);
}

void port_refuse(const char *message)
{
    uint8_t payload[128];
    struct cbor_out out = {.bytes = payload, .capacity = sizeof payload};
    cbor_put_map(&out, 1);
    cbor_put_text(&out, "message");
    cbor_put_text(&out, message);
    port_send(FRAME_PROTOCOL_ERROR, 0, 0, payload, out.length);
    refused = true;
    connection_lost();
}

/* Takes the frame at `at`, if all of it is there. Returns its size, 0 for none. */
static size_t take_frame(size_t at)
{
    struct frame frame;
    if (refused || received_length - at < HEADER_BYTES)
        return 0;
    frame_decode(&frame, received + at);
    const char *problem = frame_problem(&frame);
    if (problem != NULL) {
        port_refuse(problem);
        return 0;
    }
    if (received_length - at - HEADER_BYTES < frame.length)
        return 0;
    connection_frame(&frame, received + at + HEADER_BYTES);
    return HEADER_BYTES + frame.length;
}

static void take_frames(int *frames)
{
    size_t at = seeking ? frame_seek_hello(received, received_length) : 0, size = 1;
    if (seeking && received_length - at >= HEADER_BYTES)
        seeking = false;
    while (*frames > 0 && size > 0 && !seeking) {
        size = take_frame(at);
        at += size;
        *frames -= size > 0;
    }
    backlog = size > 0 && !seeking;
    if (refused)
        at = received_length;
    memmove(received, received + at, received_length - at);
    received_length -= at;
    if (received_peak > KEEP_BYTES && received_length < KEEP_BYTES) {
        if (madvise(received + KEEP_BYTES, RECEIVE_BYTES - KEEP_BYTES, MADV_DONTNEED) < 0)
            die("madvise");
        received_peak = 0;
    }
}

static bool may_read(void)
{
    return (readable || backlog) && control_end - control_start < CONTROL_PAUSE;
}

static void read_frames(void)
{
    int frames = FRAMES_PER_TURN;
    if (backlog && may_read())
        take_frames(&frames);
    for (int reads = 0; reads < READS_PER_TURN && frames > 0 && readable && may_read(); reads++) {
        ssize_t length = read(source.fd, received + received_length, RECEIVE_BYTES - received_length);
        if (length <= 0) {
            if (length < 0 && errno != EAGAIN && errno != EINTR)
                console_line("reading the port: %s", strerror(errno));
            readable = length < 0 && errno == EINTR;
            return;
        }
        received_length += (size_t)length;
        if (received_length > received_peak)
            received_peak = received_length;
        take_frames(&frames);
    }
}

/* The device takes a write of up to DEVICE_BYTES whole or not at all. */
static size_t device_write(const uint8_t *bytes, size_t length)
{
    ssize_t written = write(source.fd, bytes, length < DEVICE_BYTES ? length : DEVICE_BYTES);
    if (written >= 0)
        return (size_t)written;
    if (errno != EAGAIN && errno != EINTR && errno != EPIPE)
        console_line("writing the port: %s", strerror(errno));
    writable = errno == EINTR;
    return 0;
}

/* A data frame that waits was taken from its pipe before any control frame that waits was queued. */
static bool write_queued(void)
{
    while (writable && data_length > 0) {
        size_t written = device_write(data, data_length);
        data_length -= written;
        memmove(data, data + written, data_length);
    }
    while (writable && data_length == 0 && bulk_left() > 0)
        bulk_move(source.fd, &writable);
    if (data_length > 0 || bulk_left() > 0)
        return false;
    while (writable && control_start < control_end)
        control_start += device_write(control + control_start, control_end - control_start);
    if (control_start == control_end)
        control_start = control_end = 0;
    return port_idle();
}

void port_turn(void)
{
    if (announce && connected) {
        announce = false;
        connection_hello();
    }
    read_frames();
    for (int frames = 0; write_queued() && writable && frames < DATA_FRAMES_PER_TURN; frames++)
        if (!output_next())
            break;
}

bool port_busy(void)
{
    return may_read() || (writable && (!port_idle() || output_waiting()));
}
