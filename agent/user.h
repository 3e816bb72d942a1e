/* `name|uid[:group|gid]` looked up in the text of passwd and group files. No system calls: the text is hostile. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define MAX_GROUPS 256
#define HOME_BYTES 256

struct identity {
    uid_t uid;
    gid_t gid;
    gid_t groups[MAX_GROUPS];
    size_t group_count;
    char home[HOME_BYTES];
};

struct user_files {
    const char *passwd;
    size_t passwd_length;
    const char *group;
    size_t group_length;
};

enum user_result { USER_FOUND, USER_UNKNOWN, USER_GROUP_UNKNOWN, USER_MALFORMED };

/* An absent user (NULL) is root, who needs no entry. */
enum user_result user_lookup(const char *user, const struct user_files *files, struct identity *identity);
