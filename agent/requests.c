#include "requests.h"

#include <errno.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "cgroup.h"
#include "clock.h"
#include "container.h"
#include "port.h"
#include "shutdown.h"
#include "sys.h"
#include "top.h"

/* Processes stop at once unless one hangs in the kernel; the disk is frozen all the same. */
#define FREEZE_MS 500

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

/* Processes first: one stopped inside a write would hold the frozen disk for ever. */
static bool freeze(struct failure *failure)
{
    if (container_disk() < 0)
        return fail(failure, FAILURE_INVALID_STATE, "freeze", EINVAL, "no disk is mounted");
    if (!box_freeze(true, FREEZE_MS))
        console_line("not every process of the container stopped");
    if (ioctl(container_disk(), FIFREEZE, 0) < 0) {
        int error = errno;
        if (error != EBUSY)
            box_freeze(false, 0);
        return fail(failure, error == EBUSY ? FAILURE_INVALID_STATE : FAILURE_OTHER, "FIFREEZE", error,
                    "cannot freeze the disk");
    }
    return true;
}

static bool thaw(struct failure *failure)
{
    if (container_disk() < 0)
        return fail(failure, FAILURE_INVALID_STATE, "thaw", EINVAL, "no disk is mounted");
    bool thawed = ioctl(container_disk(), FITHAW, 0) == 0;
    int error = errno;
    box_freeze(false, FREEZE_MS);
    if (!thawed)
        return fail(failure, error == EINVAL ? FAILURE_INVALID_STATE : FAILURE_OTHER, "FITHAW", error,
                    "cannot thaw the disk");
    return true;
}

static bool perform(const struct request *request, struct failure *failure)
{
    switch (request->method) {
    case METHOD_PING:
        return true;
    case METHOD_FREEZE:
        return freeze(failure);
    case METHOD_THAW:
        return thaw(failure);
    case METHOD_CLOCK:
        return clock_set(request->time_ns, failure);
    default:
        return fail(failure, FAILURE_BAD_ARGUMENT, "request", ENOSYS, "no such method");
    }
}

void request_run(uint32_t stream, const struct request *request)
{
    struct failure failure;
    /* These two answer by themselves: with more than nothing, or later. */
    if (request->method == METHOD_TOP)
        top_answer(stream);
    else if (request->method == METHOD_SHUTDOWN)
        shutdown_begin(stream, request->grace_ms);
    else if (perform(request, &failure))
        request_answer_empty(stream);
    else
        request_answer_failure(stream, &failure);
}
