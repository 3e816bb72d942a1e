#include "reap.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cbor.h"
#include "child.h"
#include "input.h"
#include "output.h"
#include "port.h"
#include "sys.h"

/* What a shell says of a command that was killed. */
#define SHELL_KILLED (128 + SIGKILL)

void reap_report_failure(uint32_t stream_id, const struct failure *failure)
{
    uint8_t payload[512];
    struct cbor_out out = {.bytes = payload, .capacity = sizeof payload};
    encode_failure(&out, failure);
    port_send(FRAME_EXEC_FAILED, stream_id, 0, payload, out.length);
}

static void send_started(const struct stream *stream, pid_t pid)
{
    uint8_t payload[16];
    struct cbor_out out = {.bytes = payload, .capacity = sizeof payload};
    cbor_put_map(&out, 1);
    cbor_put_text(&out, "pid");
    cbor_put_integer(&out, pid);
    stream_send(stream, FRAME_STARTED, 0, payload, out.length);
}

static void send_exited(const struct stream *stream, int code, bool out_of_memory)
{
    uint8_t payload[80];
    struct cbor_out out = {.bytes = payload, .capacity = sizeof payload};
    cbor_put_map(&out, 4);
    cbor_put_text(&out, "code");
    cbor_put_integer(&out, code);
    cbor_put_text(&out, "timedOut");
    cbor_put_bool(&out, stream->timed_out);
    cbor_put_text(&out, "outOfMemory");
    cbor_put_bool(&out, out_of_memory);
    cbor_put_text(&out, "durationMs");
    cbor_put_integer(&out, (int64_t)((now_us() - stream->started_us) / 1000));
    stream_send(stream, FRAME_EXITED, 0, payload, out.length);
}

/* The pipe closed: at execve, or at the end of a child that did not get there. */
static void take_report(struct stream *stream)
{
    struct child_report first = {.pid = 0}, second;
    if (stream->status.fd < 0)
        return;
    ssize_t length = read(stream->status.fd, &first, sizeof first);
    if (length < 0 && errno == EAGAIN)
        return;
    bool failed = length == sizeof first
        && (first.failed || (read(stream->status.fd, &second, sizeof second) == sizeof second && second.failed));
    loop_close(&stream->status);
    stream->running = true;
    if (!failed) {
        /* Killed before it could say its number: nobody can ask for that any more, and the agent's own stands in. */
        send_started(stream, first.pid > 0 ? first.pid : stream->pid);
        input_started(stream);
        return;
    }
    if (!stream->orphan)
        reap_report_failure(stream->id, first.failed ? &first.failure : &second.failure);
    /* The number is free again; the entry stays until the child is reaped. */
    stream->orphan = true;
    input_close(stream);
    output_close(stream);
}

static void report_ready(struct source *source, uint32_t events)
{
    if (events & EPOLLHUP)
        take_report((struct stream *)((char *)source - offsetof(struct stream, status)));
}

void reap_check(struct stream *stream)
{
    siginfo_t info = {.si_pid = 0};
    if (stream->exited || stream->process.fd < 0)
        return;
    if (waitid(P_PIDFD, (id_t)stream->process.fd, &info, WEXITED | WNOHANG) < 0)
        console_line("waitid: %s", strerror(errno));
    if (info.si_pid == 0)
        return;
    take_report(stream);
    loop_close(&stream->process);
    stream->exited = true;
    int code = info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
    /* The kernel counts by cgroup, and only the container's has a counter: the best there is to know. */
    bool out_of_memory = (code == -SIGKILL || code == SHELL_KILLED) && oom_kills_now() != stream->oom_kills;
    send_exited(stream, code, out_of_memory);
    input_close(stream);
    output_exited(stream);
    stream_settle(stream);
}

static void process_ready(struct source *source, uint32_t events)
{
    (void)events;
    reap_check((struct stream *)((char *)source - offsetof(struct stream, process)));
}

bool reap_watch(struct stream *stream, int pidfd)
{
    return loop_add(&stream->process, pidfd, EPOLLIN, process_ready);
}

/* Only the hang-up counts, and epoll always reports that. */
bool reap_watch_report(struct stream *stream, int fd)
{
    return loop_add(&stream->status, fd, EPOLLET, report_ready);
}
