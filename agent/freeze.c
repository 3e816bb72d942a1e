#include "freeze.h"

#include <errno.h>
#include <linux/fs.h>
#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "container.h"
#include "loop.h"
#include "port.h"
#include "requests.h"
#include "sys.h"

/* Processes stop at once unless one hangs in the kernel; the disk is frozen all the same. */
#define STOP_US (500u * 1000)
/* A host that froze the box and forgot it, or lost its way, must not hold it for ever. Time in which the VM is stopped does not
 * count: the guest's clock stands still then. */
#define DEFAULT_HOLD_MS 60000u

/*   THAWED ──► STOPPING ──► FLUSHING ──► FROZEN ──► THAWED
 *                  │            └──► UNDOING ──────────▲
 *                  └───────────────────────────────────┘    */
static enum { THAWED, STOPPING, FLUSHING, FROZEN, UNDOING } phase = THAWED;
static uint64_t deadline_us, hold_us;
/* The box is shutting down, which writes to the disk. */
static bool ending;
/* Streams of the requests that wait for an answer; 0 is none. */
static uint32_t freezer, thawer;
/* The process that freezes the disk: writing back what is dirty takes as long as it takes, and the agent must not wait. */
static struct source helper = {.fd = -1};

static void answer_freeze(void)
{
    if (freezer != 0)
        request_answer_empty(freezer);
    freezer = 0;
}

static void refuse_freeze(enum failure_kind kind, const char *stage, int error, const char *message)
{
    struct failure failure;
    fail(&failure, kind, stage, error, "%s", message);
    if (freezer != 0)
        request_answer_failure(freezer, &failure);
    freezer = 0;
}

static void answer_thaw(bool held)
{
    uint8_t payload[16];
    struct cbor_out out = {.bytes = payload, .capacity = sizeof payload};
    if (thawer == 0)
        return;
    cbor_put_map(&out, 1);
    cbor_put_text(&out, "held");
    cbor_put_bool(&out, held);
    port_send(FRAME_RESPONSE, thawer, 0, payload, out.length);
    thawer = 0;
}

static void release_processes(void)
{
    if (!box_freeze(false))
        console_line("cgroup.freeze: %s", strerror(errno));
    phase = THAWED;
}

/* The disk first: a process that goes on may want to write at once. */
static bool release(void)
{
    bool thawed = ioctl(container_disk(), FITHAW, 0) == 0 || errno == EINVAL;
    int error = errno;
    release_processes();
    errno = error;
    return thawed;
}

static _Noreturn void freeze_disk(void)
{
    /* Nothing else of the agent stays open here: a pipe that ends meanwhile must end for its reader. */
    if (dup2(container_disk(), 0) < 0 || close_range(1, ~0u, 0) < 0)
        _exit(255);
    _exit(ioctl(0, FIFREEZE, 0) == 0 ? 0 : errno);
}

static void finish_undoing(void)
{
    bool thawed = release();
    refuse_freeze(FAILURE_INVALID_STATE, "freeze", ECANCELED, "it was undone meanwhile");
    if (!thawed)
        console_line("FITHAW: %s", strerror(errno));
    answer_thaw(false);
}

static void helper_ended(struct source *source, uint32_t events)
{
    siginfo_t info = {.si_pid = 0};
    (void)events;
    if (waitid(P_PIDFD, (id_t)source->fd, &info, WEXITED | WNOHANG) < 0)
        console_line("waitid: %s", strerror(errno));
    else if (info.si_pid == 0)
        return;
    loop_close(source);
    int error = info.si_code == CLD_EXITED ? info.si_status : EINTR;
    if (phase == UNDOING) {
        finish_undoing();
        return;
    }
    if (error == 0) {
        phase = FROZEN;
        deadline_us = now_us() + hold_us;
        answer_freeze();
        return;
    }
    /* Also the disk: a process that was killed may have been done. */
    release();
    refuse_freeze(FAILURE_OTHER, "FIFREEZE", error, "cannot freeze the disk");
}

static void flush(void)
{
    int pidfd = -1;
    struct clone_args arguments = {
        .flags = CLONE_PIDFD, .pidfd = (__u64)(uintptr_t)&pidfd, .exit_signal = SIGCHLD};
    pid_t pid = container_clone_outside(&arguments);
    if (pid == 0)
        freeze_disk();
    phase = FLUSHING;
    if (pid > 0 && loop_add(&helper, pidfd, EPOLLIN, helper_ended))
        return;
    int error = errno;
    if (pid > 0) {
        /* Without an event for its end it is of no use. */
        close(pidfd);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        ioctl(container_disk(), FITHAW, 0);
    }
    release_processes();
    refuse_freeze(FAILURE_RESOURCE_LIMIT, "clone", error, "cannot start the process that freezes the disk");
}

void freeze_begin(uint32_t stream, const struct request *request)
{
    struct failure failure;
    if (container_disk() < 0) {
        fail(&failure, FAILURE_INVALID_STATE, "freeze", EINVAL, "no disk is mounted");
        request_answer_failure(stream, &failure);
        return;
    }
    if (ending || (phase != THAWED && phase != FROZEN)) {
        fail(&failure, FAILURE_INVALID_STATE, "freeze", EALREADY,
             ending ? "the box is shutting down" : "the box is being frozen or thawed");
        request_answer_failure(stream, &failure);
        return;
    }
    freezer = stream;
    hold_us = (request->has_timeout ? request->timeout_ms : DEFAULT_HOLD_MS) * 1000u;
    if (phase == FROZEN) {
        deadline_us = now_us() + hold_us;
        answer_freeze();
        return;
    }
    /* Processes first: one stopped inside a write would hold the frozen disk for ever. */
    if (!box_freeze(true)) {
        refuse_freeze(FAILURE_OTHER, "cgroup.freeze", errno, "cannot stop the container's processes");
        return;
    }
    phase = STOPPING;
    deadline_us = now_us() + STOP_US;
}

static void undo_flush(void)
{
    phase = UNDOING;
    if (pidfd_send_signal(helper.fd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
        console_line("kill: %s", strerror(errno));
}

void freeze_end(uint32_t stream)
{
    struct failure failure;
    if (phase == UNDOING) {
        fail(&failure, FAILURE_INVALID_STATE, "thaw", EALREADY, "the box is being thawed");
        request_answer_failure(stream, &failure);
        return;
    }
    thawer = stream;
    if (phase == FLUSHING) {
        undo_flush();
        return;
    }
    bool held = phase == FROZEN;
    bool thawed = phase == THAWED || release();
    if (!thawed) {
        fail(&failure, FAILURE_OTHER, "FITHAW", errno, "cannot thaw the disk");
        request_answer_failure(stream, &failure);
        thawer = 0;
    }
    refuse_freeze(FAILURE_INVALID_STATE, "freeze", ECANCELED, "it was undone meanwhile");
    answer_thaw(held);
}

void freeze_abandon(void)
{
    ending = true;
    if (phase == FLUSHING)
        undo_flush();
    if (phase == STOPPING || phase == FROZEN)
        finish_undoing();
}

void freeze_forget(void)
{
    freezer = thawer = 0;
}

int freeze_step(void)
{
    if (phase != STOPPING && phase != FROZEN)
        return -1;
    uint64_t now = now_us();
    if (phase == STOPPING && (box_frozen() || now >= deadline_us)) {
        if (now >= deadline_us)
            console_line("not every process of the container stopped");
        flush();
        return -1;
    }
    if (phase == FROZEN && now >= deadline_us) {
        console_line("the box was frozen for too long and goes on");
        finish_undoing();
        return -1;
    }
    uint64_t wait_ms = (deadline_us - now + 999) / 1000;
    return wait_ms > INT32_MAX ? INT32_MAX : (int)wait_ms;
}
