#include "loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "sys.h"

#define EVENTS_AT_ONCE 64

static int epoll_fd = -1;

void loop_open(void)
{
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0)
        die("epoll_create1");
}

bool loop_add(struct source *source, int fd, uint32_t events, void (*ready)(struct source *, uint32_t))
{
    struct epoll_event event = {.events = events, .data.ptr = source};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        return false;
    source->fd = fd;
    source->ready = ready;
    return true;
}

bool loop_move(struct source *to, struct source *from, uint32_t events, void (*ready)(struct source *, uint32_t))
{
    struct epoll_event event = {.events = events, .data.ptr = to};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, from->fd, &event) < 0)
        return false;
    to->fd = from->fd;
    to->ready = ready;
    from->fd = -1;
    return true;
}

void loop_close(struct source *source)
{
    if (source->fd < 0)
        return;
    /* A child between clone and execve still has a copy, and until that closes epoll would go on reporting it. */
    if (epoll_ctl(epoll_fd, EPOLL_CTL_DEL, source->fd, NULL) < 0 && errno != ENOENT)
        console_line("epoll_ctl: cannot remove descriptor %d", source->fd);
    close(source->fd);
    source->fd = -1;
}

void loop_wait(int timeout_ms)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    int count = epoll_wait(epoll_fd, events, EVENTS_AT_ONCE, timeout_ms);
    if (count < 0 && errno != EINTR)
        die("epoll_wait");
    for (int i = 0; i < count; i++) {
        struct source *source = events[i].data.ptr;
        if (source->fd >= 0)
            source->ready(source, events[i].events);
    }
}
