#include "messages.h"

#include "check.h"

/* The payload is what cbor_put_… wrote, on the heap and of exact size. */
static uint8_t *exact(const struct cbor_out *out)
{
    uint8_t *copy = malloc(out->length);
    CHECK(!out->full && copy != NULL);
    return memcpy(copy, out->bytes, out->length);
}

static void put_strings(struct cbor_out *out, const char *key, const char *const strings[], size_t count)
{
    cbor_put_text(out, key);
    cbor_put_array(out, count);
    for (size_t i = 0; i < count; i++)
        cbor_put_text(out, strings[i]);
}

static void put_minimal(struct cbor_out *out, uint64_t more)
{
    cbor_put_map(out, 3 + more);
    put_strings(out, "argv", (const char *const[]){"ls", "", "-l"}, 3);
    put_strings(out, "env", (const char *const[]){"A=b"}, 1);
    cbor_put_text(out, "stdin");
    cbor_put_bool(out, true);
}

static void an_execution_is_decoded(void)
{
    uint8_t bytes[512];
    struct cbor_out out = {.bytes = bytes, .capacity = sizeof bytes};
    struct exec_request request;
    put_minimal(&out, 5);
    cbor_put_text(&out, "unknown");
    cbor_put_map(&out, 1);
    cbor_put_text(&out, "x");
    cbor_put_array(&out, 0);
    cbor_put_text(&out, "cwd");
    cbor_put_text(&out, "/tmp");
    cbor_put_text(&out, "tty");
    cbor_put_map(&out, 2);
    cbor_put_text(&out, "cols");
    cbor_put_integer(&out, 80);
    cbor_put_text(&out, "rows");
    cbor_put_integer(&out, 24);
    cbor_put_text(&out, "timeoutMs");
    cbor_put_integer(&out, 1500);
    cbor_put_text(&out, "rlimits");
    cbor_put_array(&out, 1);
    cbor_put_array(&out, 3);
    cbor_put_integer(&out, LIMIT_NOFILE);
    cbor_put_integer(&out, 64);
    cbor_put_integer(&out, -1);
    uint8_t *payload = exact(&out);
    CHECK(decode_exec(payload, out.length, &request));
    CHECK(strcmp(request.argv[0], "ls") == 0 && request.argv[1][0] == '\0' && strcmp(request.argv[2], "-l") == 0);
    CHECK(request.argv[3] == NULL && strcmp(request.env[0], "A=b") == 0);
    CHECK(request.env[1] == NULL && request.env[2] == NULL);
    CHECK(strcmp(request.cwd, "/tmp") == 0 && request.user == NULL && request.stdin_pipe);
    CHECK(request.tty && request.rows == 24 && request.cols == 80);
    CHECK(request.has_timeout && request.timeout_ms == 1500);
    CHECK(request.limits == 1u << LIMIT_NOFILE && request.soft[LIMIT_NOFILE] == 64);
    CHECK(request.hard[LIMIT_NOFILE] == UINT64_MAX && !request.has_nul && !request.too_long);
    free(payload);
}

static void an_incomplete_or_cut_execution_is_refused(void)
{
    uint8_t bytes[512];
    struct cbor_out out = {.bytes = bytes, .capacity = sizeof bytes};
    struct exec_request request;
    put_minimal(&out, 0);
    for (size_t length = 0; length < out.length; length++) {
        struct cbor_out part = {.bytes = bytes, .length = length, .capacity = sizeof bytes};
        uint8_t *payload = length == 0 ? malloc(1) : exact(&part);
        CHECK(!decode_exec(payload, length, &request));
        free(payload);
    }
    struct cbor_out empty = {.bytes = bytes, .capacity = sizeof bytes};
    cbor_put_map(&empty, 0);
    CHECK(!decode_exec(bytes, empty.length, &request));
}

static void a_nul_in_a_text_is_noticed(void)
{
    uint8_t bytes[512];
    struct cbor_out out = {.bytes = bytes, .capacity = sizeof bytes};
    struct exec_request request;
    put_minimal(&out, 1);
    cbor_put_text(&out, "user");
    cbor_put_text(&out, "ab");
    bytes[out.length - 1] = 0;
    uint8_t *payload = exact(&out);
    CHECK(decode_exec(payload, out.length, &request) && request.has_nul);
    free(payload);
}

static void null_is_an_absent_option(void)
{
    uint8_t bytes[512];
    struct cbor_out out = {.bytes = bytes, .capacity = sizeof bytes};
    struct exec_request request;
    put_minimal(&out, 1);
    cbor_put_text(&out, "cwd");
    bytes[out.length++] = 0xf6;
    uint8_t *payload = exact(&out);
    CHECK(decode_exec(payload, out.length, &request) && request.cwd == NULL);
    free(payload);
}

static void a_vector_without_bounds_is_cut(void)
{
    const size_t count = MAX_VECTOR + 10;
    uint8_t *bytes = malloc(count + 64);
    CHECK(bytes != NULL);
    struct cbor_out out = {.bytes = bytes, .capacity = count + 64};
    struct exec_request request;
    cbor_put_map(&out, 3);
    cbor_put_text(&out, "argv");
    cbor_put_array(&out, count);
    for (size_t i = 0; i < count; i++)
        cbor_put_text(&out, "");
    put_strings(&out, "env", NULL, 0);
    cbor_put_text(&out, "stdin");
    cbor_put_bool(&out, false);
    CHECK(decode_exec(bytes, out.length, &request) && request.too_long);
    CHECK(request.env[0] == NULL && request.env[1] == NULL);
    free(bytes);
}

static void requests_are_told_apart(void)
{
    uint8_t bytes[64];
    struct request request;
    struct cbor_out out = {.bytes = bytes, .capacity = sizeof bytes};
    cbor_put_map(&out, 2);
    cbor_put_text(&out, "method");
    cbor_put_text(&out, "shutdown");
    cbor_put_text(&out, "graceMs");
    cbor_put_integer(&out, 3000);
    CHECK(decode_request(bytes, out.length, &request));
    CHECK(request.method == METHOD_SHUTDOWN && request.grace_ms == 3000);
    out.length = 0;
    cbor_put_map(&out, 1);
    cbor_put_text(&out, "method");
    cbor_put_text(&out, "clock");
    CHECK(!decode_request(bytes, out.length, &request));
    out.length = 0;
    cbor_put_map(&out, 3);
    cbor_put_text(&out, "method");
    cbor_put_text(&out, "probePort");
    cbor_put_text(&out, "port");
    cbor_put_integer(&out, 8080);
    cbor_put_text(&out, "timeoutMs");
    cbor_put_integer(&out, 250);
    CHECK(decode_request(bytes, out.length, &request));
    CHECK(request.method == METHOD_PROBE_PORT && request.port == 8080);
    CHECK(request.has_timeout && request.timeout_ms == 250 && request.files.length == 0);
    out.length = 0;
    cbor_put_map(&out, 2);
    cbor_put_text(&out, "method");
    cbor_put_text(&out, "mount");
    cbor_put_text(&out, "files");
    cbor_put_array(&out, 3);
    cbor_put_text(&out, "/bin/sh");
    cbor_put_text(&out, "sh");
    cbor_put_text(&out, "/a");
    CHECK(decode_request(bytes, out.length, &request));
    CHECK(request.method == METHOD_MOUNT);
    CHECK(request.files.length == 11 && memcmp(request.files.bytes, "/bin/sh\0/a", 11) == 0);
}

static void programs_of_the_agent_are_known_by_name(void)
{
    uint8_t bytes[512];
    struct exec_request request;
    const char *const names[] = {"diff", "tree"};
    const enum builtin found[] = {BUILTIN_DIFF, BUILTIN_UNKNOWN};
    for (unsigned i = 0; i < 2; i++) {
        struct cbor_out out = {.bytes = bytes, .capacity = sizeof bytes};
        put_minimal(&out, 1);
        cbor_put_text(&out, "builtin");
        cbor_put_text(&out, names[i]);
        uint8_t *payload = exact(&out);
        CHECK(decode_exec(payload, out.length, &request) && request.builtin == found[i]);
        free(payload);
    }
}

static void put_configuration(struct cbor_out *out, uint64_t more)
{
    cbor_put_map(out, 8 + more);
    cbor_put_text(out, "timeNs");
    cbor_put_integer(out, 1);
    cbor_put_text(out, "entropy");
    out->bytes[out->length++] = 0x40;
    const char *const texts[] = {"hostname", "machineId", "resolvConf", "hosts"};
    for (unsigned i = 0; i < 4; i++) {
        cbor_put_text(out, texts[i]);
        cbor_put_text(out, "x");
    }
    cbor_put_text(out, "pidsMax");
    cbor_put_integer(out, 9);
    cbor_put_text(out, "capabilities");
    cbor_put_array(out, 0);
}

static void directories_are_absolute_and_optional(void)
{
    uint8_t bytes[512];
    static struct configure configure;
    struct cbor_out out = {.bytes = bytes, .capacity = sizeof bytes};
    put_configuration(&out, 0);
    uint8_t *payload = exact(&out);
    CHECK(decode_configure(payload, out.length, &configure) && configure.directories.length == 0);
    free(payload);
    out.length = 0;
    put_configuration(&out, 1);
    put_strings(&out, "directories", (const char *const[]){"/a/b", "", "relative", "/c"}, 4);
    payload = exact(&out);
    CHECK(decode_configure(payload, out.length, &configure));
    CHECK(configure.directories.length == 8 && memcmp(configure.directories.bytes, "/a/b\0/c", 8) == 0);
    free(payload);
}

static void directories_beyond_their_bound_are_left_out(void)
{
    enum { LONG = 1000, COUNT = 20 };
    static uint8_t bytes[LONG * (COUNT + 2)];
    static struct configure configure;
    struct cbor_out out = {.bytes = bytes, .capacity = sizeof bytes};
    char path[LONG];
    memset(path, '/', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    put_configuration(&out, 1);
    cbor_put_text(&out, "directories");
    cbor_put_array(&out, COUNT);
    for (unsigned i = 0; i < COUNT; i++)
        cbor_put_text(&out, path);
    uint8_t *payload = exact(&out);
    CHECK(decode_configure(payload, out.length, &configure));
    CHECK(configure.directories.length == PATH_LIST_BYTES / LONG * LONG);
    free(payload);
}

int main(void)
{
    directories_are_absolute_and_optional();
    directories_beyond_their_bound_are_left_out();
    an_execution_is_decoded();
    an_incomplete_or_cut_execution_is_refused();
    a_nul_in_a_text_is_noticed();
    null_is_an_absent_option();
    a_vector_without_bounds_is_cut();
    requests_are_told_apart();
    programs_of_the_agent_are_known_by_name();
    return 0;
}
