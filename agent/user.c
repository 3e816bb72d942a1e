#include "user.h"

#include <stdint.h>
#include <string.h>

/* name:password:uid:gid:comment:home:shell, and name:password:gid:members */
enum { PASSWD_NAME, PASSWD_PASSWORD, PASSWD_UID, PASSWD_GID, PASSWD_COMMENT, PASSWD_HOME, PASSWD_FIELDS };
enum { GROUP_NAME, GROUP_PASSWORD, GROUP_GID, GROUP_MEMBERS, GROUP_FIELDS };

struct span {
    const char *at;
    size_t length;
};

static bool equal(struct span a, struct span b)
{
    return a.length == b.length && memcmp(a.at, b.at, a.length) == 0;
}

/* Cuts `rest` at the first `separator` and returns what lies before it. */
static struct span cut(struct span *rest, char separator)
{
    const char *found = memchr(rest->at, separator, rest->length);
    struct span part = {rest->at, found == NULL ? rest->length : (size_t)(found - rest->at)};
    size_t used = part.length + (found != NULL);
    rest->at += used;
    rest->length -= used;
    return part;
}

/* The next line of at least `count` fields. Others are passed over, as glibc does. */
static bool next_line(struct span *text, struct span *fields, unsigned count)
{
    while (text->length > 0) {
        struct span line = cut(text, '\n');
        unsigned found = 0;
        while (found < count && line.length > 0)
            fields[found++] = cut(&line, ':');
        /* The last field may be empty: a group without members. */
        if (found == count - 1)
            fields[found++] = (struct span){line.at, 0};
        if (found == count && fields[0].length > 0)
            return true;
    }
    return false;
}

/* -1 as an id means "leave it" to the kernel, so it is none. */
static bool number(struct span text, uint32_t *value)
{
    uint64_t total = 0;
    if (text.length == 0 || text.length > 10)
        return false;
    for (size_t i = 0; i < text.length; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
        total = total * 10 + (uint64_t)(text.at[i] - '0');
    }
    *value = (uint32_t)total;
    return total < UINT32_MAX;
}

/* As Docker does, a number is an id and never a name. */
static bool find_user(struct span wanted, struct span text, struct identity *identity, struct span *name)
{
    struct span fields[PASSWD_FIELDS];
    uint32_t uid = 0, entry_uid, entry_gid;
    bool numeric = number(wanted, &uid);
    while (next_line(&text, fields, PASSWD_FIELDS)) {
        if (!number(fields[PASSWD_UID], &entry_uid) || !number(fields[PASSWD_GID], &entry_gid))
            continue;
        if (numeric ? entry_uid != uid : !equal(fields[PASSWD_NAME], wanted))
            continue;
        identity->uid = entry_uid;
        identity->gid = entry_gid;
        *name = fields[PASSWD_NAME];
        struct span home = fields[PASSWD_HOME];
        if (home.length > 0 && home.length < HOME_BYTES) {
            memcpy(identity->home, home.at, home.length);
            identity->home[home.length] = '\0';
        }
        return true;
    }
    identity->uid = uid;
    return numeric;
}

static bool find_group(struct span wanted, struct span text, struct identity *identity)
{
    struct span fields[GROUP_FIELDS];
    uint32_t gid;
    if (number(wanted, &gid)) {
        identity->gid = gid;
        return true;
    }
    while (next_line(&text, fields, GROUP_FIELDS))
        if (equal(fields[GROUP_NAME], wanted) && number(fields[GROUP_GID], &gid)) {
            identity->gid = gid;
            return true;
        }
    return false;
}

static bool has_member(struct span members, struct span name)
{
    while (members.length > 0)
        if (equal(cut(&members, ','), name))
            return true;
    return false;
}

static void find_memberships(struct span name, struct span text, struct identity *identity)
{
    struct span fields[GROUP_FIELDS];
    uint32_t gid;
    while (identity->group_count < MAX_GROUPS && next_line(&text, fields, GROUP_FIELDS))
        if (number(fields[GROUP_GID], &gid) && gid != identity->gid && has_member(fields[GROUP_MEMBERS], name))
            identity->groups[identity->group_count++] = gid;
}

enum user_result user_lookup(const char *user, const struct user_files *files, struct identity *identity)
{
    struct span passwd = {files->passwd, files->passwd_length};
    struct span group = {files->group, files->group_length};
    const char *text = user == NULL ? "0" : user;
    struct span rest = {text, strlen(text)};
    struct span name = {"", 0};
    memset(identity, 0, sizeof *identity);
    strcpy(identity->home, "/");

    bool has_group = memchr(rest.at, ':', rest.length) != NULL;
    struct span wanted = cut(&rest, ':');
    if (wanted.length == 0 || (has_group && rest.length == 0))
        return USER_MALFORMED;
    if (!find_user(wanted, passwd, identity, &name))
        return USER_UNKNOWN;

    /* A group that was asked for replaces all the user's own. */
    if (has_group && !find_group(rest, group, identity))
        return USER_GROUP_UNKNOWN;
    /* Also among the others: a program that changes its group would else escape rights denied to this one. */
    identity->groups[identity->group_count++] = identity->gid;
    if (!has_group && name.length > 0)
        find_memberships(name, group, identity);
    return USER_FOUND;
}
