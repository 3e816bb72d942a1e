#include "bulk.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "sys.h"

/*
 * Slots, not bytes, are what a pipe runs out of, and a slot may hold a single byte: of packets (O_DIRECT), of what was spliced. The box's
 * processes can give theirs 256 slots (pipe-max-size); this one has twice as many, so that it takes all of it and the header.
 */
#define HOLD_BYTES (2 * 1024 * 1024)

/*
 * virtio_console's splice hands the device one descriptor for every page the pipe holds, also for those beyond the length it was
 * asked for, and the device gives up on the empty ones. So the pages first go to a pipe of our own, which holds nothing else.
 */
static int hold[2] = {-1, -1}, null_fd = -1;
static size_t held;

void bulk_open(void)
{
    if (pipe2(hold, O_CLOEXEC | O_NONBLOCK) < 0 || fcntl(hold[1], F_SETPIPE_SZ, HOLD_BYTES) < 0)
        die("make the pipe for large frames");
    null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (null_fd < 0)
        die("open /dev/null");
}

/* The header promised bytes that somebody in the box read from under us, through /proc/PID/fd: zeroes stand for them. */
static void pad(size_t missing)
{
    static const uint8_t zeroes[4096];
    while (missing > 0) {
        ssize_t written = write(hold[1], zeroes, missing < sizeof zeroes ? missing : sizeof zeroes);
        if (written < 0 && errno != EINTR)
            die("pad a frame");
        if (written > 0)
            missing -= (size_t)written;
    }
}

bool bulk_take(const uint8_t header[HEADER_BYTES], int pipe, size_t length)
{
    /* In one pipe with its payload the header costs the device no buffer, and the host no interrupt, of its own. */
    if (write(hold[1], header, HEADER_BYTES) != HEADER_BYTES)
        return false;
    size_t taken = 0;
    while (taken < length) {
        ssize_t moved = splice(pipe, NULL, hold[1], NULL, length - taken, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        if (moved < 0 && errno == EINTR)
            continue;
        if (moved <= 0)
            break;
        taken += (size_t)moved;
    }
    pad(length - taken);
    held = HEADER_BYTES + length;
    return true;
}

size_t bulk_left(void)
{
    return held;
}

void bulk_move(int port, bool *writable)
{
    ssize_t moved = splice(hold[0], NULL, port, NULL, held, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (moved > 0) {
        held -= (size_t)moved;
        return;
    }
    if (errno != EAGAIN && errno != EINTR)
        console_line("moving pages to the port: %s", strerror(errno));
    *writable = errno == EINTR;
}

void bulk_drop(void)
{
    while (held > 0) {
        ssize_t dropped = splice(hold[0], NULL, null_fd, NULL, held, SPLICE_F_NONBLOCK);
        if (dropped < 0 && errno != EINTR)
            die("drop a frame");
        if (dropped > 0)
            held -= (size_t)dropped;
    }
}
