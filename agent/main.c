/* The guest agent of Coffer: PID 1 of the VM, and the only thing the host talks to.
 *
 *   kernel ──► boot ──► container_create ──► hello ──► epoll_wait
 *               │              │                          │  ◄── the boot template is taken here: what comes before this
 *               │              │                          │      point is paid once, what comes after by every box
 *        mounts, modules,   init waits in its             ▼
 *        a root that can    namespaces, with      mount: init mounts image and disk and makes them its root
 *        be left            /proc /sys /dev               │  ◄── the templates of images are taken here
 *                           staged aside                  ▼
 *                                               configure: time, entropy, limits; mount, unless that is done
 *                                                         │
 *                                                         ▼
 *                          ┌────────────── one turn of the loop, no thread ──────────────┐
 *   host ══ port ═ frames ═╪═► connection ─┬─► exec ──► clone3 ──► child: setns, user,   │
 *     ▲                    │               │                       execve                │
 *     │                    │               ├─► input ──► pipe ══► process                │
 *     │                    │               ├─► signals, tty, requests, shutdown          │
 *     │                    │               └─► diff, freeze: children of the agent's own │
 *     └══════════ frames ══╪═══ output ◄══ pipe, while the host grants credit            │
 *                          │    reap   ◄── pidfd: exited                                 │
 *                          └─────────────────────────────────────────────────────────────┘
 *
 * The agent stays outside the container's namespaces and never looks up a path of the image: what may block or lie
 * is done by the child, on its own time. All memory is bounded, and most of it static.
 */
#include "boot.h"
#include "bulk.h"
#include "cgroup.h"
#include "clock.h"
#include "configure.h"
#include "container.h"
#include "devices.h"
#include "freeze.h"
#include "loop.h"
#include "port.h"
#include "probe.h"
#include "shutdown.h"
#include "sink.h"
#include "stream.h"
#include "virtio.h"

#define PORT_NAME "coffer.agent"

static int sooner(int a_ms, int b_ms)
{
    return a_ms < 0 ? b_ms : b_ms < 0 || a_ms < b_ms ? a_ms : b_ms;
}

static _Noreturn void serve(void)
{
    for (;;) {
        int timeout_ms = sooner(sooner(stream_expire(), probes_expire()), sooner(freeze_step(), shutdown_step()));
        loop_wait(port_busy() ? 0 : timeout_ms);
        port_turn();
    }
}

int main(void)
{
    /* 1. The machine. */
    boot_early();
    boot_system();
    loop_open();
    entropy_open();

    /* 2. The container, up to what only a box can tell. */
    cgroups_open();
    container_create();
    devices_restrict(cgroup_box());
    configure_open();

    /* 3. The host. */
    streams_open();
    sinks_open();
    bulk_open();
    port_open(virtio_open_port(PORT_NAME));
    port_announce();
    serve();
}
