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

/* What the agent asks for, at the head of a message. */
enum init_order {
    /* The root file system, and nothing more yet: a template of it is made. Then files to read, as a path list. */
    INIT_MOUNT,
    /* All that is left to do. Then the hostname with its NUL, and directories to make, as a path list. */
    INIT_START,
};

struct init_reply {
    bool ok;
    uint64_t mounted_us;
    struct failure failure;
};

/* The longest hostname Linux has, and the NUL. */
#define HOSTNAME_BYTES 65

_Noreturn void init_main(int control, const struct init_devices *devices);
