#include "pax.h"

#include "check.h"

static struct pax pax;

static void is(const char *text)
{
    CHECK(pax.length == strlen(text) && memcmp(pax.bytes, text, pax.length) == 0);
    pax.length = 0;
}

static void a_length_counts_its_own_digits(void)
{
    /* "9 path=a\n" has 9 bytes; one byte more needs a digit more, and so two bytes more. */
    pax_put(&pax, "path", "a", 1);
    is("9 path=a\n");
    pax_put(&pax, "path", "ab", 2);
    is("11 path=ab\n");
    char value[100];
    memset(value, 'x', sizeof value);
    pax_put(&pax, "path", value, 90);
    CHECK(memcmp(pax.bytes, "99 path=", 8) == 0 && pax.length == 99);
    pax.length = 0;
    pax_put(&pax, "path", value, 91);
    CHECK(memcmp(pax.bytes, "101 path=", 9) == 0 && pax.length == 101);
    pax.length = 0;
}

static void times_are_decimal_fractions_also_before_1970(void)
{
    pax_put_time(&pax, "mtime", (struct timespec){1700000000, 5});
    is("30 mtime=1700000000.000000005\n");
    pax_put_time(&pax, "mtime", (struct timespec){-1, 0});
    is("12 mtime=-1\n");
    /* A quarter of a second before 1970: second -1 and three quarters. */
    pax_put_time(&pax, "mtime", (struct timespec){-1, 750000000});
    is("22 mtime=-0.250000000\n");
    pax_put_time(&pax, "mtime", (struct timespec){-10, 1});
    is("22 mtime=-9.999999999\n");
}

static void values_are_bytes_and_names_are_escaped(void)
{
    pax_put_xattr(&pax, "user.a=b%c", "\0\n", 2);
    CHECK(pax.length == 34 && memcmp(pax.bytes, "34 SCHILY.xattr.user.a%3Db%25c=\0\n\n", 34) == 0);
    pax.length = 0;
}

static void what_has_no_room_is_noticed(void)
{
    static uint8_t value[PAX_BYTES];
    pax_put(&pax, "a", value, sizeof value - 16);
    CHECK(!pax.full);
    pax_put(&pax, "b", value, 100);
    CHECK(pax.full);
    size_t length = pax.length;
    pax_put(&pax, "c", value, 1);
    CHECK(pax.length == length);
}

int main(void)
{
    a_length_counts_its_own_digits();
    times_are_decimal_fractions_also_before_1970();
    values_are_bytes_and_names_are_escaped();
    what_has_no_room_is_noticed();
    return 0;
}
