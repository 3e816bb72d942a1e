#include "connection.h"

#include <sys/utsname.h>

#include "configure.h"
#include "exec.h"
#include "input.h"
#include "messages.h"
#include "output.h"
#include "port.h"
#include "requests.h"
#include "signals.h"
#include "stream.h"
#include "tty.h"

void connection_hello(void)
{
    struct utsname system;
    if (uname(&system) < 0)
        die("uname");
    uint8_t payload[256];
    struct cbor_out out = {.bytes = payload, .capacity = sizeof payload};
    cbor_put_map(&out, 4);
    cbor_put_text(&out, "protocol");
    cbor_put_integer(&out, PROTOCOL_VERSION);
    cbor_put_text(&out, "build");
    cbor_put_text(&out, AGENT_BUILD);
    cbor_put_text(&out, "kernel");
    cbor_put_text(&out, system.release);
    cbor_put_text(&out, "features");
    cbor_put_array(&out, 0);
    port_send(FRAME_HELLO, 0, 0, payload, out.length);
}

void connection_lost(void)
{
    stream_orphan_all();
    requests_forget();
}

/* A restored VM cannot tell its new host from the one of the template, so a hello always begins a connection. */
static void take_hello(uint8_t *payload, size_t length)
{
    uint64_t protocol = 0;
    if (!decode_hello(payload, length, &protocol)) {
        port_refuse("a malformed hello");
        return;
    }
    connection_lost();
    connection_hello();
    if (protocol != PROTOCOL_VERSION)
        port_refuse("the agent speaks another version of the protocol");
}

static void take_exec(const struct frame *frame, uint8_t *payload)
{
    struct exec_request request;
    if (stream_find(frame->stream) != NULL)
        port_refuse("an execution on a stream that is in use");
    else if (!decode_exec(payload, frame->length, &request))
        port_refuse("a malformed execution request");
    else
        exec_start(frame->stream, &request);
}

static void take_request(const struct frame *frame, uint8_t *payload)
{
    struct request request;
    if (decode_request(payload, frame->length, &request))
        request_run(frame->stream, &request);
    else
        port_refuse("a malformed request");
}

/* The host cannot know yet that a stream has ended: frames that crossed its end are dropped. */
static void take_stream_frame(const struct frame *frame, const uint8_t *payload)
{
    struct stream *stream = stream_find(frame->stream);
    if (stream == NULL)
        return;
    switch (frame->type) {
    case FRAME_STDIN:
        if (!input_take(stream, payload, frame->length, frame->flags & FLAG_END))
            port_refuse("more standard input than was granted");
        break;
    case FRAME_CREDIT:
        if (frame->flags != CHANNEL_STDIN)
            output_grant(stream, (enum channel)frame->flags, load_u32(payload));
        break;
    case FRAME_SIGNAL:
        signal_send(stream, (enum signal_target)frame->flags, load_u32(payload));
        break;
    case FRAME_RESIZE:
        tty_resize(stream, load_u16(payload), load_u16(payload + 2));
        break;
    default:
        output_discard(stream);
    }
}

void connection_frame(const struct frame *frame, uint8_t *payload)
{
    switch (frame->type) {
    case FRAME_HELLO:
        take_hello(payload, frame->length);
        break;
    case FRAME_CONFIGURE:
        configure_run(payload, frame->length);
        break;
    case FRAME_REQUEST:
        take_request(frame, payload);
        break;
    case FRAME_EXEC:
        take_exec(frame, payload);
        break;
    default:
        take_stream_frame(frame, payload);
    }
}
