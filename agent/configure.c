#include "configure.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "capabilities.h"
#include "cgroup.h"
#include "clock.h"
#include "container.h"
#include "exec.h"
#include "init.h"
#include "messages.h"
#include "port.h"
#include "stage.h"
#include "sys.h"

#define MACHINE_ID_DIGITS 32

static bool check(struct configure *configure, struct failure *failure)
{
    struct text *id = &configure->machine_id;
    if (id->length != MACHINE_ID_DIGITS || !text_terminate(id)
        || strspn(id->at, "0123456789abcdef") < MACHINE_ID_DIGITS)
        return fail(failure, FAILURE_BAD_ARGUMENT, "machineId", EINVAL, "not 32 hexadecimal digits");
    if (configure->hostname.length == 0 || configure->hostname.length >= HOSTNAME_BYTES
        || !text_terminate(&configure->hostname))
        return fail(failure, FAILURE_BAD_ARGUMENT, "hostname", EINVAL, "not a hostname of 1 to 64 bytes");
    if (configure->pids_max == 0)
        return fail(failure, FAILURE_BAD_ARGUMENT, "pidsMax", EINVAL, "a container without tasks cannot run");
    return true;
}

enum staged_file { RESOLV_CONF, HOSTS, HOSTNAME, MACHINE_ID, BOOT_ID, STAGED_FILES };

static const char *const staged_names[STAGED_FILES] = {"resolv.conf", "hosts", "hostname", "machine-id", "boot_id"};
static int staged_fds[STAGED_FILES];

void configure_open(void)
{
    int directory = open(STAGE_FILES, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (unsigned i = 0; i < STAGED_FILES; i++) {
        staged_fds[i] = openat(directory, staged_names[i], O_WRONLY | O_CLOEXEC);
        if (staged_fds[i] < 0)
            die("open %s", staged_names[i]);
    }
    close(directory);
}

static bool write_staged(enum staged_file file, const char *bytes, size_t length, struct failure *failure)
{
    ssize_t written = write(staged_fds[file], bytes, length);
    int error = written < 0 ? errno : ENOSPC;
    close(staged_fds[file]);
    if (written != (ssize_t)length)
        return fail(failure, FAILURE_OTHER, "write", error, "cannot write %s", staged_names[file]);
    return true;
}

/* A random UUID of version 4, as the kernel's own: new at every start, unlike the machine's id. */
static bool write_boot_id(struct failure *failure)
{
    uint8_t id[16];
    char line[40], *at = line;
    if (getrandom(id, sizeof id, 0) != sizeof id)
        return fail(failure, FAILURE_OTHER, "getrandom", errno, "cannot make a boot id");
    id[6] = (uint8_t)((id[6] & 0x0f) | 0x40);
    id[8] = (uint8_t)((id[8] & 0x3f) | 0x80);
    for (unsigned i = 0; i < sizeof id; i++)
        at += sprintf(at, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", id[i]);
    *at++ = '\n';
    return write_staged(BOOT_ID, line, (size_t)(at - line), failure);
}

static bool write_files(const struct configure *configure, struct failure *failure)
{
    char line[HOSTNAME_BYTES + 1];
    const char *id = configure->machine_id.at;
    const struct text *resolv = &configure->resolv_conf, *hosts = &configure->hosts;
    if (!write_staged(RESOLV_CONF, resolv->at, resolv->length, failure)
        || !write_staged(HOSTS, hosts->at, hosts->length, failure))
        return false;
    int length = snprintf(line, sizeof line, "%s\n", configure->hostname.at);
    if (!write_staged(HOSTNAME, line, (size_t)length, failure))
        return false;
    length = snprintf(line, sizeof line, "%s\n", id);
    return write_staged(MACHINE_ID, line, (size_t)length, failure) && write_boot_id(failure);
}

static bool apply(struct configure *configure, uint64_t *mounted_us, struct failure *failure)
{
    /* 1. The time first: whatever comes after may record it. Then randomness, before anything draws some. */
    bool seeded = clock_set(configure->time_ns, failure)
        && entropy_add(configure->entropy.at, configure->entropy.length, failure);
    explicit_bzero(configure->entropy.at, configure->entropy.length);
    if (!seeded || !check(configure, failure))
        return false;

    /* 2. What the container is to find, and how many tasks it may have. */
    if (!write_files(configure, failure) || !cgroup_limit_tasks(configure->pids_max, failure))
        return false;

    /* 3. Its file systems. */
    struct container_box box = {.hostname = configure->hostname.at,
                                .directories = &configure->directories};
    if (!container_start(&box, mounted_us, failure))
        return false;

    /* 4. Children inherit the bounding set. The agent itself never calls execve, so it loses nothing. */
    return capabilities_bound(configure->capabilities, failure);
}

static void reply(bool ok, uint64_t mounted_us, uint64_t ready_us, const struct failure *failure)
{
    uint8_t payload[512];
    struct cbor_out out = {.bytes = payload, .capacity = sizeof payload};
    if (ok) {
        cbor_put_map(&out, 2);
        cbor_put_text(&out, "mountedUs");
        cbor_put_integer(&out, (int64_t)mounted_us);
        cbor_put_text(&out, "readyUs");
        cbor_put_integer(&out, (int64_t)ready_us);
    } else {
        encode_failure(&out, failure);
    }
    port_send(ok ? FRAME_CONFIGURED : FRAME_CONFIGURE_FAILED, 0, 0, payload, out.length);
}

void configure_run(uint8_t *payload, size_t length)
{
    static bool tried;
    uint64_t received_us = now_us(), mounted_us = received_us;
    struct configure configure;
    struct failure failure;
    if (!decode_configure(payload, length, &configure)) {
        port_refuse("a malformed configuration");
        return;
    }
    if (tried) {
        fail(&failure, FAILURE_INVALID_STATE, "configure", EALREADY, "the box has been configured");
        reply(false, 0, 0, &failure);
        return;
    }
    tried = true;
    bool ok = apply(&configure, &mounted_us, &failure);
    if (ok)
        exec_allow(configure.capabilities);
    reply(ok, mounted_us - received_us, now_us() - received_us, &failure);
}
