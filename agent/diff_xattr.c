#include "diff_xattr.h"

#include <errno.h>
#include <linux/limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

#define OVERLAY_PREFIX "trusted.overlay."

static char names[XATTR_LIST_MAX];
static char value[XATTR_SIZE_MAX];

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool read_mark(const char *path, const char *name, struct overlay_marks *marks)
{
    const char *mark = name + strlen(OVERLAY_PREFIX);
    if (strcmp(mark, "redirect") == 0 || strcmp(mark, "metacopy") == 0)
        marks->partial = true;
    if (strcmp(mark, "opaque") != 0)
        return true;
    ssize_t length = getxattr(path, name, value, sizeof value);
    /* Newer kernels also write "x", which says something else. */
    marks->opaque = length == 1 && value[0] == 'y';
    return length >= 0 || errno == ENODATA;
}

static bool read_attribute(const char *path, const char *name, struct pax *pax)
{
    ssize_t length = getxattr(path, name, value, sizeof value);
    if (length < 0)
        return errno == ENODATA;
    pax_put_xattr(pax, name, value, (size_t)length);
    return true;
}

bool xattrs_read(int fd, struct pax *pax, struct overlay_marks *marks)
{
    /* The calls that take a descriptor refuse path descriptors. A link of procfs leads to the very same inode, also where that is a
     * symbolic link, and no further. */
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    *marks = (struct overlay_marks){.opaque = false, .partial = false};
    ssize_t length = listxattr(path, names, sizeof names);
    if (length < 0)
        return errno == ENOTSUP;
    for (const char *name = names; name < names + length; name += strlen(name) + 1) {
        bool own = starts_with(name, OVERLAY_PREFIX);
        if (!(own ? read_mark(path, name, marks) : read_attribute(path, name, pax)))
            return false;
    }
    return true;
}
