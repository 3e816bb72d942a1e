#include "virtio.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sys.h"

/* Probing goes on after the modules are loaded. No boot should need this long. */
#define WAIT_US (10u * 1000 * 1000)
#define POLL_NS (2l * 1000 * 1000)

/* The entry of `directory` that starts with `prefix` and whose `attribute` reads `value`. */
static bool find(const char *directory, const char *prefix, const char *attribute, const char *value, char *name,
                 size_t capacity)
{
    DIR *entries = opendir(directory);
    if (entries == NULL)
        return false;
    bool found = false;
    for (struct dirent *entry; !found && (entry = readdir(entries)) != NULL;) {
        char path[sizeof entry->d_name + 32], text[64];
        if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", entry->d_name, attribute);
        if (read_file_at(dirfd(entries), path, text, sizeof text) < 0)
            continue;
        text[strcspn(text, "\n")] = '\0';
        found = strcmp(text, value) == 0 && strlen(entry->d_name) < capacity;
        if (found)
            memcpy(name, entry->d_name, strlen(entry->d_name) + 1);
    }
    closedir(entries);
    return found;
}

static void await(const char *what, const char *directory, const char *prefix, const char *attribute,
                  const char *value, char *name, size_t capacity)
{
    uint64_t deadline = now_us() + WAIT_US;
    while (!find(directory, prefix, attribute, value, name, capacity)) {
        if (now_us() >= deadline) {
            errno = ENODEV;
            die("no %s named %s", what, value);
        }
        nanosleep(&(struct timespec){.tv_nsec = POLL_NS}, NULL);
    }
}

int virtio_open_port(const char *name)
{
    char device[32], path[DEVICE_PATH_BYTES];
    await("virtio-serial port", "/sys/class/virtio-ports", "vport", "name", name, device, sizeof device);
    snprintf(path, sizeof path, "/dev/%s", device);
    int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        die("open %s", path);
    return fd;
}

void virtio_find_disk(const char *serial, char path[static DEVICE_PATH_BYTES])
{
    char device[32];
    await("virtio disk", "/sys/block", "vd", "serial", serial, device, sizeof device);
    snprintf(path, DEVICE_PATH_BYTES, "/dev/%s", device);
}
