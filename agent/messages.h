/* Control payloads between CBOR and C. The keys are those of src/guest/messages.ts. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cbor.h"
#include "failure.h"
#include "path_list.h"
#include "protocol.h"

/* Linux gives the strings of execve, and their pointers, a quarter of the stack limit: 2 MiB of 8 MiB by default. */
#define MAX_VECTOR (256u * 1024u)

struct configure {
    uint64_t time_ns;
    struct text entropy;
    struct text hostname;
    struct text machine_id;
    struct text resolv_conf;
    struct text hosts;
    uint64_t pids_max;
    uint64_t capabilities;
    struct path_list directories;
};

/* Programs that are part of the agent. */
enum builtin {
    BUILTIN_NONE,
    BUILTIN_UNKNOWN,
    BUILTIN_DIFF,
};

/* All pointers lead into the payload, which must outlive the request. */
struct exec_request {
    enum builtin builtin;
    char **argv;
    char **env;
    const char *cwd;
    const char *user;
    bool tty;
    uint16_t rows;
    uint16_t cols;
    bool stdin_pipe;
    bool has_timeout;
    uint64_t timeout_ms;
    uint32_t limits;
    uint64_t soft[RLIMIT_COUNT];
    uint64_t hard[RLIMIT_COUNT];
    /* Well formed, but nothing that execve could take. */
    bool has_nul;
    bool too_long;
};

enum request_method {
    METHOD_UNKNOWN,
    METHOD_PING,
    METHOD_TOP,
    METHOD_FREEZE,
    METHOD_THAW,
    METHOD_CLOCK,
    METHOD_SHUTDOWN,
    METHOD_PROBE_PORT,
    METHOD_MOUNT,
};

struct request {
    enum request_method method;
    uint64_t time_ns;
    uint64_t grace_ms;
    uint64_t port;
    bool has_timeout;
    uint64_t timeout_ms;
    struct path_list files;
};

/* False for a payload that is malformed, lacks a key, or has a value of the wrong type. */
bool decode_hello(uint8_t *payload, size_t length, uint64_t *protocol);
bool decode_configure(uint8_t *payload, size_t length, struct configure *configure);
bool decode_exec(uint8_t *payload, size_t length, struct exec_request *request);
bool decode_request(uint8_t *payload, size_t length, struct request *request);

void encode_failure(struct cbor_out *out, const struct failure *failure);
