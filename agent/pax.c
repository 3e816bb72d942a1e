#include "pax.h"

#include <stdio.h>
#include <string.h>

#define XATTR_PREFIX "SCHILY.xattr."
/* XATTR_NAME_MAX, each byte of it escaped. */
#define KEY_BYTES (sizeof XATTR_PREFIX + 3 * 255)

static size_t digits_of(size_t number)
{
    size_t digits = 1;
    for (; number >= 10; number /= 10)
        digits++;
    return digits;
}

/* The length that leads a record counts its own digits. */
static size_t record_length(size_t rest)
{
    size_t digits = digits_of(rest);
    if (digits_of(rest + digits) > digits)
        digits++;
    return rest + digits;
}

static void append(struct pax *pax, const void *bytes, size_t length)
{
    memcpy(pax->bytes + pax->length, bytes, length);
    pax->length += length;
}

void pax_put(struct pax *pax, const char *key, const void *value, size_t length)
{
    char head[24];
    size_t key_length = strlen(key);
    size_t total = record_length(1 + key_length + 1 + length + 1);
    if (pax->full || total > sizeof pax->bytes - pax->length) {
        pax->full = true;
        return;
    }
    int head_length = snprintf(head, sizeof head, "%zu ", total);
    append(pax, head, (size_t)head_length);
    append(pax, key, key_length);
    append(pax, "=", 1);
    append(pax, value, length);
    append(pax, "\n", 1);
}

void pax_put_number(struct pax *pax, const char *key, uint64_t number)
{
    char text[24];
    int length = snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    pax_put(pax, key, text, (size_t)length);
}

/* Nanoseconds count upwards from the second also before 1970, where a decimal fraction counts away from zero. */
void pax_put_time(struct pax *pax, const char *key, struct timespec time)
{
    char text[40];
    long long seconds = time.tv_sec;
    long nanoseconds = time.tv_nsec;
    const char *sign = "";
    if (seconds < 0) {
        sign = "-";
        seconds = -seconds;
        if (nanoseconds > 0) {
            seconds--;
            nanoseconds = 1000000000 - nanoseconds;
        }
    }
    int length = snprintf(text, sizeof text, nanoseconds == 0 ? "%s%lld" : "%s%lld.%09ld", sign, seconds, nanoseconds);
    pax_put(pax, key, text, (size_t)length);
}

/* A keyword ends at its first '='. GNU tar writes one within a name as %3D, and reads it so. */
static void escape(char *to, const char *name)
{
    for (; *name != '\0'; name++) {
        if (*name == '=')
            to = stpcpy(to, "%3D");
        else if (*name == '%')
            to = stpcpy(to, "%25");
        else
            *to++ = *name;
    }
    *to = '\0';
}

void pax_put_xattr(struct pax *pax, const char *name, const void *value, size_t length)
{
    char key[KEY_BYTES];
    if (strlen(name) > 255) {
        pax->full = true;
        return;
    }
    escape(stpcpy(key, XATTR_PREFIX), name);
    pax_put(pax, key, value, length);
}
