#include "messages.h"

#include <string.h>

/* A day beyond what a timer needs; it keeps sums of milliseconds far from overflow. */
#define MAX_DURATION_MS ((uint64_t)UINT32_MAX * 1000u)
#define MAX_TASKS 4194304u
#define MAX_CAPABILITY 63u

static bool optional(struct cbor_in *in)
{
    return !cbor_null(in);
}

bool decode_hello(uint8_t *payload, size_t length, uint64_t *protocol)
{
    static const char *const keys[] = {"protocol"};
    struct cbor_in in = {.at = payload, .end = payload + length};
    uint32_t pairs = 0, seen = 0;
    for (cbor_map(&in, &pairs); pairs > 0 && !in.bad; pairs--)
        if (cbor_key(&in, keys, LENGTH(keys), &seen) == 0)
            cbor_unsigned(&in, UINT32_MAX, protocol);
        else
            cbor_skip(&in, 2);
    return cbor_done(&in) && seen == 1;
}

static void read_capabilities(struct cbor_in *in, uint64_t *mask)
{
    uint32_t items = 0;
    *mask = 0;
    for (cbor_array(in, &items); items > 0 && !in->bad; items--) {
        uint64_t number = 0;
        if (cbor_unsigned(in, MAX_CAPABILITY, &number))
            *mask |= (uint64_t)1 << number;
    }
}

/* What has no place, or is no absolute path, is left out. */
static void read_paths(struct cbor_in *in, struct path_list *list)
{
    uint32_t items = 0;
    for (cbor_array(in, &items); items > 0 && !in->bad; items--) {
        struct text path;
        if (!cbor_text(in, &path) || path.length == 0 || path.at[0] != '/' || memchr(path.at, 0, path.length) != NULL
            || path.length >= sizeof list->bytes - list->length)
            continue;
        char *at = list->bytes + list->length;
        memcpy(at, path.at, path.length);
        at[path.length] = '\0';
        list->length += path.length + 1;
    }
}

bool decode_configure(uint8_t *payload, size_t length, struct configure *configure)
{
    enum { TIME, ENTROPY, HOSTNAME, MACHINE_ID, RESOLV_CONF, HOSTS, PIDS_MAX, CAPABILITIES, DIRECTORIES, COUNT };
    static const char *const keys[COUNT] = {"timeNs", "entropy", "hostname", "machineId", "resolvConf", "hosts",
                                            "pidsMax", "capabilities", "directories"};
    struct cbor_in in = {.at = payload, .end = payload + length};
    /* A host that names no directories wants none. */
    const uint32_t unneeded = 1u << DIRECTORIES;
    uint32_t pairs = 0, seen = 0;
    configure->directories.length = 0;
    for (cbor_map(&in, &pairs); pairs > 0 && !in.bad; pairs--) {
        switch (cbor_key(&in, keys, COUNT, &seen)) {
        case TIME:
            cbor_unsigned(&in, INT64_MAX, &configure->time_ns);
            break;
        case ENTROPY:
            cbor_bytes(&in, &configure->entropy);
            break;
        case HOSTNAME:
            cbor_text(&in, &configure->hostname);
            break;
        case MACHINE_ID:
            cbor_text(&in, &configure->machine_id);
            break;
        case RESOLV_CONF:
            cbor_text(&in, &configure->resolv_conf);
            break;
        case HOSTS:
            cbor_text(&in, &configure->hosts);
            break;
        case PIDS_MAX:
            cbor_unsigned(&in, MAX_TASKS, &configure->pids_max);
            break;
        case CAPABILITIES:
            read_capabilities(&in, &configure->capabilities);
            break;
        case DIRECTORIES:
            read_paths(&in, &configure->directories);
            break;
        default:
            cbor_skip(&in, 2);
        }
    }
    return cbor_done(&in) && (seen | unneeded) == (1u << COUNT) - 1;
}

/* Every vector of a request is cut from one block: requests are decoded one at a time and used before the next. */
static char *vector_block[MAX_VECTOR];
static size_t vector_used;

static char *read_string(struct cbor_in *in, struct exec_request *request)
{
    struct text text;
    if (!cbor_text(in, &text))
        return NULL;
    if (!text_terminate(&text))
        request->has_nul = true;
    return text.at;
}

static char **read_vector(struct cbor_in *in, struct exec_request *request)
{
    uint32_t items = 0;
    char **vector = vector_block + vector_used;
    for (cbor_array(in, &items); items > 0 && !in->bad; items--) {
        char *string = read_string(in, request);
        /* Both vectors end in NULL, with one slot more for a variable the agent adds. */
        if (vector_used < MAX_VECTOR - 4)
            vector_block[vector_used++] = string;
        else
            request->too_long = true;
    }
    vector_block[vector_used++] = NULL;
    vector_block[vector_used++] = NULL;
    return vector;
}

static void read_tty(struct cbor_in *in, struct exec_request *request)
{
    static const char *const keys[] = {"rows", "cols"};
    uint64_t sizes[2] = {0, 0};
    uint32_t pairs = 0, seen = 0;
    for (cbor_map(in, &pairs); pairs > 0 && !in->bad; pairs--) {
        int key = cbor_key(in, keys, LENGTH(keys), &seen);
        if (key < 0)
            cbor_skip(in, 3);
        else
            cbor_unsigned(in, UINT16_MAX, &sizes[key]);
    }
    if (seen != 3)
        in->bad = true;
    request->tty = true;
    request->rows = (uint16_t)sizes[0];
    request->cols = (uint16_t)sizes[1];
}

/* -1, infinity on the wire, is RLIM_INFINITY as a two's complement. */
static void read_limits(struct cbor_in *in, struct exec_request *request)
{
    uint32_t items = 0, parts = 0;
    for (cbor_array(in, &items); items > 0 && !in->bad; items--) {
        uint64_t number = 0, soft = 0, hard = 0;
        cbor_array(in, &parts);
        cbor_unsigned(in, RLIMIT_COUNT - 1, &number);
        cbor_integer(in, &soft);
        cbor_integer(in, &hard);
        if (parts != 3)
            in->bad = true;
        if (in->bad)
            return;
        request->limits |= 1u << number;
        request->soft[number] = soft;
        request->hard[number] = hard;
    }
}

static enum builtin read_builtin(struct cbor_in *in)
{
    struct text name = {.at = NULL, .length = 0};
    cbor_text(in, &name);
    return !in->bad && text_is(&name, "diff") ? BUILTIN_DIFF : BUILTIN_UNKNOWN;
}

bool decode_exec(uint8_t *payload, size_t length, struct exec_request *request)
{
    enum { ARGV, ENV, STDIN, CWD, USER, TTY, TIMEOUT, RLIMITS, BUILTIN, COUNT };
    static const char *const keys[COUNT] = {"argv", "env",       "stdin",   "cwd",    "user",
                                            "tty",  "timeoutMs", "rlimits", "builtin"};
    const uint32_t required = 1u << ARGV | 1u << ENV | 1u << STDIN;
    struct cbor_in in = {.at = payload, .end = payload + length};
    uint32_t pairs = 0, seen = 0;
    memset(request, 0, sizeof *request);
    vector_used = 0;
    for (cbor_map(&in, &pairs); pairs > 0 && !in.bad; pairs--) {
        int key = cbor_key(&in, keys, COUNT, &seen);
        if (key > STDIN && !optional(&in))
            continue;
        switch (key) {
        case ARGV:
            request->argv = read_vector(&in, request);
            break;
        case ENV:
            request->env = read_vector(&in, request);
            break;
        case STDIN:
            cbor_bool(&in, &request->stdin_pipe);
            break;
        case CWD:
            request->cwd = read_string(&in, request);
            break;
        case USER:
            request->user = read_string(&in, request);
            break;
        case TTY:
            read_tty(&in, request);
            break;
        case TIMEOUT:
            request->has_timeout = cbor_unsigned(&in, MAX_DURATION_MS, &request->timeout_ms);
            break;
        case RLIMITS:
            read_limits(&in, request);
            break;
        case BUILTIN:
            request->builtin = read_builtin(&in);
            break;
        default:
            cbor_skip(&in, 2);
        }
    }
    return cbor_done(&in) && (seen & required) == required;
}

static enum request_method method_of(const struct text *name)
{
    static const char *const names[] = {
        [METHOD_PING] = "ping",   [METHOD_TOP] = "top",     [METHOD_FREEZE] = "freeze",
        [METHOD_THAW] = "thaw",   [METHOD_CLOCK] = "clock", [METHOD_SHUTDOWN] = "shutdown",
        [METHOD_PROBE_PORT] = "probePort", [METHOD_MOUNT] = "mount",
    };
    for (unsigned i = METHOD_PING; i < LENGTH(names); i++)
        if (text_is(name, names[i]))
            return (enum request_method)i;
    return METHOD_UNKNOWN;
}

bool decode_request(uint8_t *payload, size_t length, struct request *request)
{
    enum { METHOD, TIME, GRACE, PORT, TIMEOUT, FILES, COUNT };
    static const char *const keys[COUNT] = {"method", "timeNs", "graceMs", "port", "timeoutMs", "files"};
    struct cbor_in in = {.at = payload, .end = payload + length};
    struct text name = {.at = NULL, .length = 0};
    uint32_t pairs = 0, seen = 0;
    memset(request, 0, sizeof *request);
    for (cbor_map(&in, &pairs); pairs > 0 && !in.bad; pairs--) {
        switch (cbor_key(&in, keys, COUNT, &seen)) {
        case METHOD:
            cbor_text(&in, &name);
            break;
        case TIME:
            cbor_unsigned(&in, INT64_MAX, &request->time_ns);
            break;
        case GRACE:
            cbor_unsigned(&in, MAX_DURATION_MS, &request->grace_ms);
            break;
        case PORT:
            cbor_unsigned(&in, UINT32_MAX, &request->port);
            break;
        case TIMEOUT:
            request->has_timeout = cbor_unsigned(&in, MAX_DURATION_MS, &request->timeout_ms);
            break;
        case FILES:
            read_paths(&in, &request->files);
            break;
        default:
            cbor_skip(&in, 2);
        }
    }
    if (!cbor_done(&in) || !(seen & 1u << METHOD))
        return false;
    request->method = method_of(&name);
    /* Setting the time to 1970 for want of an argument would be worse than an error. */
    return request->method != METHOD_CLOCK || (seen & 1u << TIME) != 0;
}

void encode_failure(struct cbor_out *out, const struct failure *failure)
{
    cbor_put_map(out, 4);
    cbor_put_text(out, "kind");
    cbor_put_text(out, failure_kind_name(failure->kind));
    cbor_put_text(out, "stage");
    cbor_put_text(out, failure->stage);
    cbor_put_text(out, "errno");
    cbor_put_integer(out, failure->error);
    cbor_put_text(out, "message");
    cbor_put_text(out, failure->message);
}
