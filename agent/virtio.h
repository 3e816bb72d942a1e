/* The devices the host gave the VM, found by the names the host gave them. */
#pragma once

#include <stddef.h>

#define DEVICE_PATH_BYTES 64

/* Opens the port of that name; waits for it, and powers off if it does not come. */
int virtio_open_port(const char *name);
/* Writes the path of the block device with that serial number. */
void virtio_find_disk(const char *serial, char path[static DEVICE_PATH_BYTES]);
