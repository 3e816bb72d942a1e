#include "user.h"

#include "check.h"

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
                             "broken line\n"
                             "half:x:5\n"
                             "bob:x:1000:1000::/home/bob:/bin/sh\n"
                             "1234:x:77:77::/:/bin/sh\n"
                             "huge:x:4294967295:1::/:/bin/sh\n"
                             "last:x:9:9::/l:";
static const char group[] = "root:x:0:\nwheel:x:10:root,bob\nbob:x:1000:\nbobby:x:11:bobby\naudio:x:29:alice,bob";

static enum user_result look(const char *user, struct identity *identity)
{
    struct user_files files = {passwd, sizeof passwd - 1, group, sizeof group - 1};
    return user_lookup(user, &files, identity);
}

static void a_name_has_its_groups_and_home(void)
{
    struct identity identity;
    CHECK(look("bob", &identity) == USER_FOUND);
    CHECK(identity.uid == 1000 && identity.gid == 1000 && strcmp(identity.home, "/home/bob") == 0);
    CHECK(identity.group_count == 3 && identity.groups[0] == 1000);
    CHECK(identity.groups[1] == 10 && identity.groups[2] == 29);
}

static void nobody_asked_for_is_root(void)
{
    struct identity identity;
    CHECK(look(NULL, &identity) == USER_FOUND);
    CHECK(identity.uid == 0 && strcmp(identity.home, "/root") == 0 && identity.group_count == 2);
}

static void a_group_asked_for_replaces_the_others(void)
{
    struct identity identity;
    CHECK(look("bob:audio", &identity) == USER_FOUND);
    CHECK(identity.gid == 29 && identity.group_count == 1 && identity.groups[0] == 29);
    CHECK(look("1000:4242", &identity) == USER_FOUND);
    CHECK(identity.uid == 1000 && identity.gid == 4242 && strcmp(identity.home, "/home/bob") == 0);
}

static void a_number_needs_no_entry_and_is_never_a_name(void)
{
    struct identity identity;
    CHECK(look("555", &identity) == USER_FOUND);
    CHECK(identity.uid == 555 && identity.gid == 0 && strcmp(identity.home, "/") == 0);
    CHECK(look("1234", &identity) == USER_FOUND && identity.uid == 1234);
}

static void what_is_unknown_or_malformed_is_told(void)
{
    struct identity identity;
    CHECK(look("nobody", &identity) == USER_UNKNOWN);
    CHECK(look("half", &identity) == USER_UNKNOWN);
    CHECK(look("huge", &identity) == USER_UNKNOWN);
    CHECK(look("4294967295", &identity) == USER_UNKNOWN);
    CHECK(look("bob:nogroup", &identity) == USER_GROUP_UNKNOWN);
    CHECK(look("", &identity) == USER_MALFORMED);
    CHECK(look(":audio", &identity) == USER_MALFORMED);
    CHECK(look("bob:", &identity) == USER_MALFORMED);
}

static void the_last_line_needs_no_newline(void)
{
    struct identity identity;
    CHECK(look("last", &identity) == USER_FOUND && strcmp(identity.home, "/l") == 0);
}

static void groups_are_bounded(void)
{
    static char many[MAX_GROUPS * 2 * 16];
    size_t length = 0;
    for (unsigned i = 0; i < MAX_GROUPS * 2; i++)
        length += (size_t)snprintf(many + length, sizeof many - length, "g:x:%u:bob\n", 2000 + i);
    struct user_files files = {passwd, sizeof passwd - 1, many, length};
    struct identity identity;
    CHECK(user_lookup("bob", &files, &identity) == USER_FOUND && identity.group_count == MAX_GROUPS);
}

int main(void)
{
    a_name_has_its_groups_and_home();
    nobody_asked_for_is_root();
    a_group_asked_for_replaces_the_others();
    a_number_needs_no_entry_and_is_never_a_name();
    what_is_unknown_or_malformed_is_told();
    the_last_line_needs_no_newline();
    groups_are_bounded();
    return 0;
}
