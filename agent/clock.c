#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#define MAX_ENTROPY_BYTES 256

static int random_fd = -1;

void entropy_open(void)
{
    random_fd = open("/dev/random", O_RDWR | O_CLOEXEC);
    if (random_fd < 0)
        die("open /dev/random");
}

bool clock_set(uint64_t time_ns, struct failure *failure)
{
    struct timespec time = {.tv_sec = (time_t)(time_ns / 1000000000u), .tv_nsec = (long)(time_ns % 1000000000u)};
    if (clock_settime(CLOCK_REALTIME, &time) < 0)
        return fail(failure, FAILURE_OTHER, "clock_settime", errno, "cannot set the time");
    return true;
}

bool entropy_add(const void *bytes, size_t length, struct failure *failure)
{
    struct {
        struct rand_pool_info info;
        uint8_t bytes[MAX_ENTROPY_BYTES];
    } pool;
    if (length == 0 || length > MAX_ENTROPY_BYTES)
        return fail(failure, FAILURE_BAD_ARGUMENT, "entropy", EINVAL, "entropy is 1 to %d bytes", MAX_ENTROPY_BYTES);
    memcpy(pool.bytes, bytes, length);
    pool.info.buf_size = (int)length;
    pool.info.entropy_count = (int)length * 8;
    bool added = ioctl(random_fd, RNDADDENTROPY, &pool) == 0;
    int error = errno;
    explicit_bzero(&pool, sizeof pool);
    if (!added)
        return fail(failure, FAILURE_OTHER, "RNDADDENTROPY", error, "cannot add entropy");
    /* What was added counts from the next reseed on, a minute away: until then boxes of a template draw the same. */
    if (ioctl(random_fd, RNDRESEEDCRNG) < 0)
        return fail(failure, FAILURE_OTHER, "RNDRESEEDCRNG", errno, "cannot reseed the random generator");
    return true;
}
