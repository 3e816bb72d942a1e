#include "sink.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "sys.h"

/* More than that are closed, and their writers get SIGPIPE. */
#define MAX_SINKS 2048
#define DROP_BYTES (64u * 1024u)

static struct source sinks[MAX_SINKS];
static int null_fd = -1;

void sinks_open(void)
{
    null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (null_fd < 0)
        die("open /dev/null");
    for (unsigned i = 0; i < MAX_SINKS; i++)
        sinks[i].fd = -1;
}

/* Level-triggered and one piece at a time: a writer that floods takes its turn like everybody. */
static void sink_ready(struct source *sink, uint32_t events)
{
    (void)events;
    ssize_t dropped = splice(sink->fd, NULL, null_fd, NULL, DROP_BYTES, SPLICE_F_NONBLOCK);
    if (dropped == 0 || (dropped < 0 && errno != EAGAIN && errno != EINTR))
        loop_close(sink);
}

void sink_adopt(struct source *source)
{
    for (unsigned i = 0; i < MAX_SINKS && source->fd >= 0; i++)
        if (sinks[i].fd < 0 && !loop_move(&sinks[i], source, EPOLLIN, sink_ready))
            break;
    loop_close(source);
}
