#include "signals.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>

#include "port.h"
#include "sys.h"

static void signal_group(const struct stream *stream, int number)
{
    /* Once the leader is reaped its number may be another's. */
    if (stream->exited)
        return;
    if (kill(-stream->pid, number) == 0)
        return;
    /* No such group yet: the child has not reached setsid. The signal waits in it, blocked, until it runs. */
    if (errno != ESRCH || (pidfd_send_signal(stream->process.fd, number, NULL, 0) < 0 && errno != ESRCH))
        console_line("kill: %s", strerror(errno));
}

void signal_send(const struct stream *stream, enum signal_target target, uint32_t number)
{
    if (number < 1 || number > (uint32_t)SIGRTMAX) {
        port_refuse("not a signal number");
        return;
    }
    if (target == SIGNAL_TARGET_GROUP)
        signal_group(stream, (int)number);
    else if (number == SIGKILL)
        leaf_kill(stream->leaf);
    else
        leaf_signal(stream->leaf, (int)number);
}
