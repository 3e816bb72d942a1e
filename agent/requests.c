#include "requests.h"

#include <errno.h>

#include "clock.h"
#include "container.h"
#include "freeze.h"
#include "port.h"
#include "probe.h"
#include "shutdown.h"
#include "top.h"

void request_answer_empty(uint32_t stream)
{
    uint8_t payload[1];
    struct cbor_out out = {.bytes = payload, .capacity = sizeof payload};
    cbor_put_map(&out, 0);
    port_send(FRAME_RESPONSE, stream, 0, payload, out.length);
}

void request_answer_failure(uint32_t stream, const struct failure *failure)
{
    uint8_t payload[512];
    struct cbor_out out = {.bytes = payload, .capacity = sizeof payload};
    encode_failure(&out, failure);
    port_send(FRAME_REQUEST_FAILED, stream, 0, payload, out.length);
}

static bool perform(const struct request *request, struct failure *failure)
{
    switch (request->method) {
    case METHOD_PING:
        return true;
    case METHOD_CLOCK:
        return clock_set(request->time_ns, failure);
    case METHOD_MOUNT:
        return container_mount(&request->files, failure);
    default:
        return fail(failure, FAILURE_BAD_ARGUMENT, "request", ENOSYS, "no such method");
    }
}

void request_run(uint32_t stream, const struct request *request)
{
    struct failure failure;
    switch (request->method) {
    /* These answer by themselves: with more than nothing, or later. */
    case METHOD_TOP:
        top_answer(stream);
        break;
    case METHOD_FREEZE:
        freeze_begin(stream, request);
        break;
    case METHOD_THAW:
        freeze_end(stream);
        break;
    case METHOD_PROBE_PORT:
        probe_begin(stream, request);
        break;
    case METHOD_SHUTDOWN:
        shutdown_begin(stream, request->grace_ms);
        break;
    default:
        if (perform(request, &failure))
            request_answer_empty(stream);
        else
            request_answer_failure(stream, &failure);
    }
}

void requests_forget(void)
{
    freeze_forget();
    probes_drop();
}
