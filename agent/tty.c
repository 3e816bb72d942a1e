#include "tty.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "container.h"

int tty_open(uint16_t rows, uint16_t cols, int *master, struct failure *failure)
{
    struct winsize size = {.ws_row = rows, .ws_col = cols};
    int unlock = 0, number = -1;
    *master = openat(container_terminals(), "ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (*master < 0 || ioctl(*master, TIOCSPTLCK, &unlock) < 0 || ioctl(*master, TIOCGPTN, &number) < 0
        || ioctl(*master, TIOCSWINSZ, &size) < 0) {
        fail(failure, FAILURE_TERMINAL_FAILED, "ptmx", errno, "cannot open a terminal");
        if (*master >= 0)
            close(*master);
        return -1;
    }
    return number;
}

/* Opened by its path in the container, not through the master, so that ttyname finds it there. */
bool tty_attach(int number, uid_t owner, struct failure *failure)
{
    char path[32];
    snprintf(path, sizeof path, "/dev/pts/%d", number);
    int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return fail(failure, FAILURE_TERMINAL_FAILED, "open", errno, "cannot open %s", path);
    if (ioctl(fd, TIOCSCTTY, 0) < 0)
        return fail(failure, FAILURE_TERMINAL_FAILED, "TIOCSCTTY", errno, "cannot control %s", path);
    if (fchown(fd, owner, (gid_t)-1) < 0)
        return fail(failure, FAILURE_TERMINAL_FAILED, "fchown", errno, "cannot give %s to its user", path);
    for (int stream = 0; stream < 3; stream++)
        if (dup2(fd, stream) < 0)
            return fail(failure, FAILURE_TERMINAL_FAILED, "dup2", errno, "cannot use %s", path);
    close(fd);
    return true;
}

void tty_resize(struct stream *stream, uint16_t rows, uint16_t cols)
{
    struct winsize size = {.ws_row = rows, .ws_col = cols};
    int master = stream->outputs[0].source.fd;
    if (stream->tty && master >= 0 && ioctl(master, TIOCSWINSZ, &size) < 0)
        console_line("TIOCSWINSZ: %s", strerror(errno));
}
