/* Everything that decodes foreign bytes, fed with mutations of valid messages. The driver is deterministic: a failure
 * comes again with the same sources. With -fsanitize=fuzzer and -DLIBFUZZER the entry point serves libFuzzer. */
#include <stdint.h>
#include <time.h>

#include "check.h"
#include "frame.h"
#include "messages.h"
#include "path.h"
#include "user.h"

#define MAX_INPUT 4096

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void walk_strings(char *const strings[])
{
    size_t total = 0;
    for (size_t i = 0; strings[i] != NULL; i++)
        total += strlen(strings[i]);
    CHECK(total <= MAX_INPUT);
}

static void try_messages(uint8_t selector, uint8_t *bytes, size_t length)
{
    struct configure configure;
    struct exec_request exec;
    struct request request;
    uint64_t protocol;
    if (selector == 0 && decode_exec(bytes, length, &exec) && !exec.too_long) {
        walk_strings(exec.argv);
        walk_strings(exec.env);
    }
    if (selector == 1)
        decode_configure(bytes, length, &configure);
    if (selector == 2)
        decode_request(bytes, length, &request);
    if (selector == 3)
        decode_hello(bytes, length, &protocol);
}

static void try_user(const uint8_t *bytes, size_t length)
{
    struct identity identity;
    char user[17] = {0};
    size_t named = length < 16 ? length : 16;
    memcpy(user, bytes, named);
    const char *text = (const char *)bytes + named;
    size_t half = (length - named) / 2;
    struct user_files files = {text, half, text + half, length - named - half};
    user_lookup(user, &files, &identity);
}

static void try_path(const uint8_t *bytes, size_t length)
{
    char *path = malloc(length + 1), candidate[64];
    CHECK(path != NULL);
    memcpy(path, bytes, length);
    path[length] = '\0';
    const char *rest = path;
    while (path_next(&rest, "command", candidate, sizeof candidate) != 0)
        CHECK(strlen(candidate) < sizeof candidate);
    free(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct frame frame;
    if (length < 1 || length > MAX_INPUT)
        return 0;
    uint8_t *copy = malloc(length);
    CHECK(copy != NULL);
    memcpy(copy, bytes, length);
    if (length >= HEADER_BYTES) {
        frame_decode(&frame, copy);
        frame_problem(&frame);
    }
    if (copy[0] % 6 < 4)
        try_messages(copy[0] % 6, copy + 1, length - 1);
    else if (copy[0] % 6 == 4)
        try_user(copy + 1, length - 1);
    else
        try_path(copy + 1, length - 1);
    free(copy);
    return 0;
}

#ifndef LIBFUZZER
static uint64_t state = 0x9e3779b97f4a7c15;

static uint64_t draw(uint64_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % below;
}

/* With their lengths: a C string ends at a NUL, and seeds begin with one. */
#define SEED(text) {text, sizeof text - 1}

static const struct {
    const char *bytes;
    size_t length;
} seeds[] = {
    SEED("\0\xa4\x64" "argv\x82\x62ls\x62-l\x63" "env\x81\x63" "A=b\x65stdin\xf5\x67rlimits\x81\x83\x07\x18\x40\x20"),
    SEED("\0\xa4\x64" "argv\x81\x62ls\x63" "env\x80\x65stdin\xf4\x63tty\xa2\x64rows\x18\x18\x64" "cols\x18\x50"),
    SEED("\0\xa4\x64" "argv\x80\x63" "env\x80\x65stdin\xf4\x67" "builtin\x64" "diff"),
    SEED("\1\xa8\x66timeNs\x1b\x17\x01\x02\x03\x04\x05\x06\x07\x67" "entropy\x44" "abcd\x68hostname\x61h"
         "\x69machineId\x61m\x6aresolvConf\x60\x65hosts\x60\x67pidsMax\x18\x64\x6c" "capabilities\x82\x01\x02"),
    SEED("\2\xa2\x66method\x68shutdown\x67graceMs\x19\x0b\xb8"),
    SEED("\2\xa3\x66method\x69probePort\x64port\x19\x1f\x90\x69timeoutMs\x18\x64"),
    SEED("\3\xa2\x68protocol\x01\x65" "build\x61x"),
    SEED("\4bob:audio\n......bob:x:1000:1000::/home/bob:/bin/sh\naudio:x:29:alice,bob\nwheel:x:10:root,bob\n"),
    SEED("\5/usr/local/bin:/usr/bin::/bin:"),
};

static size_t mutate(uint8_t *bytes, size_t length)
{
    for (uint64_t changes = 1 + draw(6); changes > 0; changes--) {
        size_t at = draw(length);
        switch (draw(5)) {
        case 0:
            bytes[at] = (uint8_t)draw(256);
            break;
        case 1:
            bytes[at] ^= (uint8_t)(1u << draw(8));
            break;
        case 2:
            length = at + 1;
            break;
        case 3:
            if (length < MAX_INPUT / 2) {
                size_t piece = 1 + draw(length - at);
                memmove(bytes + at + piece, bytes + at, length - at);
                length += piece;
            }
            break;
        default:
            bytes[at] = (uint8_t)(0x18 + draw(8) + 0x20 * draw(8));
        }
    }
    return length;
}

int main(int count, char *arguments[])
{
    static uint8_t bytes[MAX_INPUT];
    uint64_t runs = 0;
    time_t end = time(NULL) + (count > 1 ? atoi(arguments[1]) : 10);
    do {
        for (int i = 0; i < 10000; i++, runs++) {
            size_t seed = draw(sizeof seeds / sizeof seeds[0]);
            memcpy(bytes, seeds[seed].bytes, seeds[seed].length);
            LLVMFuzzerTestOneInput(bytes, mutate(bytes, seeds[seed].length));
        }
    } while (time(NULL) < end);
    printf("%llu inputs, no failure\n", (unsigned long long)runs);
    return 0;
}
#endif
