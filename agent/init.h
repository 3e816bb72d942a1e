/* PID 1 of the container: mounts its root, then reaps what is left to it. It never runs a program, so nothing of the
 * image can become it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "failure.h"
#include "virtio.h"

struct init_devices {
    char image[DEVICE_PATH_BYTES];
    char disk[DEVICE_PATH_BYTES];
};

struct init_reply {
    bool ok;
    uint64_t mounted_us;
    struct failure failure;
};

/* The longest hostname Linux has, and the NUL. */
#define HOSTNAME_BYTES 65

_Noreturn void init_main(int control, const struct init_devices *devices);
