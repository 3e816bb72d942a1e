/* From clone to execve, in the child. */
#pragma once

#include "failure.h"
#include "messages.h"

/* Descriptors the child starts with; all of them are the agent's and close at execve. */
struct child_files {
    /* Standard streams; unused with a terminal. */
    int streams[3];
    /* The number of the terminal under /dev/pts, -1 without one. */
    int terminal;
    int report;
    int namespaces;
};

/* What the child writes to `report`: first its pid as the container sees it, then a failure if there is one. */
struct child_report {
    bool failed;
    pid_t pid;
    struct failure failure;
};

/* For a program of the agent's own: `disk` is all it gets to see of the box. */
_Noreturn void child_builtin(enum builtin builtin, const struct child_files *files, int disk);
_Noreturn void child_main(const struct exec_request *request, const struct child_files *files, uint64_t capabilities);
