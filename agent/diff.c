#include "diff.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What is wrong with one file is wrong with thousands; the first few tell. */
#define MAX_SHOWN 20

static struct diff diff_state;

/* The box chose the name, and a terminal may show it. */
static void print_path(const char *path)
{
    fputc('/', stderr);
    for (const unsigned char *at = (const unsigned char *)path; *at != '\0'; at++)
        fputc(*at < ' ' || *at == 0x7f ? '?' : *at, stderr);
}

void diff_problem(struct diff *diff, const char *what, int error)
{
    diff->problems++;
    if (diff->problems > MAX_SHOWN)
        return;
    fputs("diff: ", stderr);
    print_path(diff->path);
    fprintf(stderr, error == 0 ? ": %s\n" : ": %s: %s\n", what, strerror(error));
}

static void write_archive(struct diff *diff, int upper)
{
    struct stat status;
    int entries = openat(upper, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (entries < 0 || fstat(entries, &status) < 0) {
        diff_problem(diff, "it cannot be opened", errno);
        if (entries >= 0)
            close(entries);
        return;
    }
    diff_directory(diff, entries, &status);
    diff_walk(diff, entries);
}

int diff_run(int upper, int out)
{
    struct diff *diff = &diff_state;
    diff->problems = 0;
    diff->path_length = 0;
    diff->path[0] = '\0';
    if (!links_open(&diff->links)) {
        fprintf(stderr, "diff: no memory: %s\n", strerror(errno));
        return 1;
    }
    tar_begin(&diff->tar, out);
    write_archive(diff, upper);
    bool written = tar_end(&diff->tar);
    if (!written)
        fprintf(stderr, "diff: the archive cannot be written: %s\n", strerror(errno));
    if (diff->problems > MAX_SHOWN)
        fprintf(stderr, "diff: %u more\n", diff->problems - MAX_SHOWN);
    links_close(&diff->links);
    return written && diff->problems == 0 ? 0 : 1;
}
