#include "probe.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop.h"
#include "port.h"
#include "requests.h"
#include "sys.h"

#define MAX_PROBES 32
#define MAX_TIMEOUT_MS 3600000u
#define ADDRESSES 2

struct attempt {
    struct source source;
    struct probe *probe;
};

struct probe {
    /* 0 is a free entry: requests have streams of their own. */
    uint32_t stream;
    uint64_t deadline_us;
    struct attempt attempts[ADDRESSES];
};

static struct probe probes[MAX_PROBES];
static unsigned running;

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static socklen_t loopback(unsigned index, uint16_t port, union address *address)
{
    memset(address, 0, sizeof *address);
    if (index == 0) {
        address->v4.sin_family = AF_INET;
        address->v4.sin_port = htons(port);
        address->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return sizeof address->v4;
    }
    address->v6.sin6_family = AF_INET6;
    address->v6.sin6_port = htons(port);
    address->v6.sin6_addr = in6addr_loopback;
    return sizeof address->v6;
}

static void drop(struct probe *probe)
{
    for (unsigned i = 0; i < ADDRESSES; i++)
        loop_close(&probe->attempts[i].source);
    probe->stream = 0;
    running--;
}

static void answer(struct probe *probe, bool open)
{
    uint8_t payload[16];
    struct cbor_out out = {.bytes = payload, .capacity = sizeof payload};
    cbor_put_map(&out, 1);
    cbor_put_text(&out, "open");
    cbor_put_bool(&out, open);
    port_send(FRAME_RESPONSE, probe->stream, 0, payload, out.length);
    drop(probe);
}

/* Linux gives a connection any free port, also the one it is to reach: then it is connected to itself. Such a connection must not
 * linger, or a server could not listen there. */
static bool is_own(int fd)
{
    union address local, remote;
    socklen_t local_length = sizeof local, remote_length = sizeof remote;
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    if (getsockname(fd, &local.any, &local_length) < 0 || getpeername(fd, &remote.any, &remote_length) < 0)
        return false;
    if (local_length != remote_length || memcmp(&local, &remote, local_length) != 0)
        return false;
    if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset) < 0)
        console_line("SO_LINGER: %s", strerror(errno));
    return true;
}

static bool was_made(int fd)
{
    int error = 0;
    socklen_t length = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
        return false;
    /* What never was a connection is refused; only what was one is reset. */
    return (error == 0 && !is_own(fd)) || error == ECONNRESET;
}

static void attempt_ready(struct source *source, uint32_t events)
{
    struct probe *probe = ((struct attempt *)source)->probe;
    (void)events;
    if (was_made(source->fd)) {
        answer(probe, true);
        return;
    }
    loop_close(source);
    for (unsigned i = 0; i < ADDRESSES; i++)
        if (probe->attempts[i].source.fd >= 0)
            return;
    answer(probe, false);
}

/* A connection that is made or refused at once is found so by the loop, like any other. */
static void try_address(struct attempt *attempt, unsigned index, uint16_t port)
{
    union address address;
    socklen_t length = loopback(index, port, &address);
    /* A kernel may be without IPv6, and then nothing listens there. */
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if ((connect(fd, &address.any, length) == 0 || errno == EINPROGRESS)
        && loop_add(&attempt->source, fd, EPOLLOUT, attempt_ready))
        return;
    close(fd);
}

static struct probe *take(uint32_t stream)
{
    for (unsigned i = 0; i < MAX_PROBES; i++) {
        struct probe *probe = &probes[i];
        if (probe->stream != 0)
            continue;
        probe->stream = stream;
        for (unsigned address = 0; address < ADDRESSES; address++)
            probe->attempts[address] = (struct attempt){.source.fd = -1, .probe = probe};
        running++;
        return probe;
    }
    return NULL;
}

static void refuse(uint32_t stream, enum failure_kind kind, int error, const char *message)
{
    struct failure failure;
    fail(&failure, kind, "probePort", error, "%s", message);
    request_answer_failure(stream, &failure);
}

void probe_begin(uint32_t stream, const struct request *request)
{
    if (request->port < 1 || request->port > UINT16_MAX) {
        refuse(stream, FAILURE_BAD_ARGUMENT, EINVAL, "not a port");
        return;
    }
    if (!request->has_timeout || request->timeout_ms < 1 || request->timeout_ms > MAX_TIMEOUT_MS) {
        refuse(stream, FAILURE_BAD_ARGUMENT, EINVAL, "not a timeout of 1 ms to an hour");
        return;
    }
    struct probe *probe = take(stream);
    if (probe == NULL) {
        refuse(stream, FAILURE_RESOURCE_LIMIT, EAGAIN, "too many ports are being probed");
        return;
    }
    probe->deadline_us = now_us() + request->timeout_ms * 1000u;
    for (unsigned i = 0; i < ADDRESSES; i++)
        try_address(&probe->attempts[i], i, (uint16_t)request->port);
    if (probe->attempts[0].source.fd < 0 && probe->attempts[1].source.fd < 0)
        answer(probe, false);
}

void probes_drop(void)
{
    for (unsigned i = 0; i < MAX_PROBES; i++)
        if (probes[i].stream != 0)
            drop(&probes[i]);
}

int probes_expire(void)
{
    uint64_t now = running == 0 ? 0 : now_us(), next = UINT64_MAX;
    for (unsigned i = 0; i < MAX_PROBES && running > 0; i++) {
        struct probe *probe = &probes[i];
        if (probe->stream == 0)
            continue;
        if (probe->deadline_us <= now)
            answer(probe, false);
        else if (probe->deadline_us < next)
            next = probe->deadline_us;
    }
    return next == UINT64_MAX ? -1 : (int)((next - now + 999) / 1000);
}
