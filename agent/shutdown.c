#include "shutdown.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cgroup.h"
#include "container.h"
#include "exec.h"
#include "freeze.h"
#include "port.h"
#include "requests.h"
#include "stream.h"
#include "sys.h"

/* For processes to die of SIGKILL: longer only if one hangs in the kernel. */
#define KILL_US (2u * 1000 * 1000)
#define INIT_TRIES 20
#define INIT_WAIT_MS 50
#define REMOUNT_TRIES 20
#define REMOUNT_WAIT_NS (5l * 1000 * 1000)
/* For the host to take what was sent, and to hang up. */
#define FLUSH_US (2u * 1000 * 1000)
#define HANG_UP_MS 100

static enum { RUNNING, ASKED, KILLED } phase = RUNNING;
static uint32_t asker;
static uint64_t deadline_us;

void shutdown_begin(uint32_t stream, uint64_t grace_ms)
{
    struct failure failure;
    if (phase != RUNNING) {
        fail(&failure, FAILURE_INVALID_STATE, "shutdown", EALREADY, "the box is shutting down");
        request_answer_failure(stream, &failure);
        return;
    }
    phase = ASKED;
    asker = stream;
    deadline_us = now_us() + grace_ms * 1000u;
    exec_forbid();
    /* Processes of a frozen box could not end. */
    freeze_abandon();
    builtins_kill();
    box_signal(SIGTERM);
}

/* A namespace's init ends only after every process in it is reaped, and the commands are the agent's children. */
static void end_container(void)
{
    stream_reap_all();
    container_end();
    for (int tries = 0; tries < INIT_TRIES; tries++) {
        while (waitpid(-1, NULL, WNOHANG) > 0)
            continue;
        if (errno == ECHILD)
            return;
        struct pollfd end = {.fd = container_namespaces(), .events = POLLIN};
        poll(&end, 1, INIT_WAIT_MS);
    }
    console_line("the container did not end");
}

/* Of all mounts of the disk only the superblock counts: read-only, its journal is empty and it is marked clean. */
static bool clean_disk(void)
{
    if (container_disk() < 0)
        return true;
    syncfs(container_disk());
    int context = fspick(container_disk(), "", FSPICK_EMPTY_PATH | FSPICK_CLOEXEC);
    if (context < 0 || fsconfig(context, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0)
        return false;
    /* The last descriptors of killed processes are closed by the kernel's workers, a little later. */
    for (int tries = 0; tries < REMOUNT_TRIES; tries++) {
        if (fsconfig(context, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) == 0)
            return true;
        if (errno != EBUSY)
            return false;
        nanosleep(&(struct timespec){.tv_nsec = REMOUNT_WAIT_NS}, NULL);
    }
    return false;
}

static void answer(bool clean)
{
    uint8_t payload[16];
    struct cbor_out out = {.bytes = payload, .capacity = sizeof payload};
    cbor_put_map(&out, 1);
    cbor_put_text(&out, "clean");
    cbor_put_bool(&out, clean);
    port_send(FRAME_RESPONSE, asker, 0, payload, out.length);
}

static _Noreturn void finish(void)
{
    end_container();
    bool clean = clean_disk();
    if (!clean)
        console_line("the disk is not clean: %s", strerror(errno));
    answer(clean);
    uint64_t give_up_us = now_us() + FLUSH_US;
    for (port_turn(); !port_idle() && port_connected() && now_us() < give_up_us; port_turn())
        loop_wait(10);
    /* The device has the answer, but only the host's hang-up tells that it was read. */
    port_await_hang_up(HANG_UP_MS);
    power_off();
}

int shutdown_step(void)
{
    if (phase == RUNNING)
        return -1;
    uint64_t now = now_us();
    if (box_empty() || (phase == KILLED && now >= deadline_us))
        finish();
    if (now >= deadline_us) {
        phase = KILLED;
        deadline_us = now + KILL_US;
        box_kill();
    }
    uint64_t wait_ms = (deadline_us - now + 999) / 1000;
    return wait_ms > INT32_MAX ? INT32_MAX : (int)wait_ms;
}
