#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "capabilities.h"
#include "diff.h"
#include "identity.h"
#include "program.h"
#include "rlimits.h"
#include "rootfs.h"
#include "tty.h"

/* The report pipe once the standard streams are in place, and the first descriptor that nobody needs. */
#define REPORT_FD 3
#define FIRST_FREE_FD 4
/* Overlayfs keeps its notes in attributes that only an administrator may read. */
#define BUILTIN_CAPABILITIES ((uint64_t)1 << CAP_DAC_READ_SEARCH | (uint64_t)1 << CAP_SYS_ADMIN)

static void report(int fd, const struct child_report *report)
{
    /* Less than PIPE_BUF into an empty pipe: it is written whole. Without a reader there is no one to tell. */
    if (write(fd, report, sizeof *report) != sizeof *report)
        _exit(127);
}

/* The agent's descriptors are gone before anything of the image is looked at: a path may lead to /proc/self/fd.
 * One, unless it is -1, is kept as FIRST_FREE_FD. */
static bool place_descriptors(const struct child_files *files, int kept, struct failure *failure)
{
    for (int fd = 0; fd < 3 && files->terminal < 0; fd++)
        if (dup2(files->streams[fd], fd) < 0)
            return fail(failure, FAILURE_OTHER, "dup2", errno, "cannot place descriptors");
    /* The agent keeps 0 to 2 taken, so none of its pipes was overwritten. One of them may have been REPORT_FD. */
    if (files->report != REPORT_FD && dup3(files->report, REPORT_FD, O_CLOEXEC) < 0)
        return fail(failure, FAILURE_OTHER, "dup3", errno, "cannot place descriptors");
    if (kept >= 0 && kept != FIRST_FREE_FD && dup3(kept, FIRST_FREE_FD, O_CLOEXEC) < 0)
        return fail(failure, FAILURE_OTHER, "dup3", errno, "cannot place descriptors");
    if (close_range(kept < 0 ? FIRST_FREE_FD : FIRST_FREE_FD + 1, ~0u, 0) < 0)
        return fail(failure, FAILURE_OTHER, "close_range", errno, "cannot close descriptors");
    return true;
}

static bool enter_container(int namespaces, struct failure *failure)
{
    if (setns(namespaces, CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP) < 0)
        return fail(failure, FAILURE_INVALID_STATE, "setns", errno, "the container is gone");
    return true;
}

static bool change_directory(const char *cwd, struct failure *failure)
{
    const char *path = cwd == NULL ? "/" : cwd;
    if (chdir(path) < 0)
        return fail(failure, FAILURE_BAD_CWD, "chdir", errno, "cannot change to %.100s", path);
    return true;
}

static bool become(const struct identity *identity, uint64_t capabilities, struct failure *failure)
{
    if (setgroups(identity->group_count, identity->groups) < 0)
        return fail(failure, FAILURE_BAD_USER, "setgroups", errno, "cannot set groups");
    if (setresgid(identity->gid, identity->gid, identity->gid) < 0)
        return fail(failure, FAILURE_BAD_USER, "setresgid", errno, "cannot become group %u", identity->gid);
    if (setresuid(identity->uid, identity->uid, identity->uid) < 0)
        return fail(failure, FAILURE_BAD_USER, "setresuid", errno, "cannot become user %u", identity->uid);
    return capabilities_keep(identity->uid == 0 ? capabilities : 0, failure);
}

static bool restore_process(struct failure *failure)
{
    struct sched_param parameter = {.sched_priority = 0};
    sigset_t none;
    sigemptyset(&none);
    if (sched_setscheduler(0, SCHED_OTHER, &parameter) < 0)
        return fail(failure, FAILURE_OTHER, "sched_setscheduler", errno, "cannot leave the agent's scheduling class");
    if (sigprocmask(SIG_SETMASK, &none, NULL) < 0)
        return fail(failure, FAILURE_OTHER, "sigprocmask", errno, "cannot unblock signals");
    return true;
}

static bool prepare(const struct exec_request *request, const struct child_files *files, uint64_t capabilities,
                    struct failure *failure)
{
    static struct identity identity;

    /* 1. The container's view. The pid namespace is already its own: it was born there. */
    if (!enter_container(files->namespaces, failure) || !place_descriptors(files, -1, failure))
        return false;

    /* 2. Who it is to be. */
    if (!identity_read(request->user, &identity, failure))
        return false;

    /* 3. A session of its own, and the terminal in it. */
    if (setsid() < 0)
        return fail(failure, FAILURE_OTHER, "setsid", errno, "cannot start a session");
    if (files->terminal >= 0 && !tty_attach(files->terminal, identity.uid, failure))
        return false;

    /* 4. What needs privileges: limits above the hard ones, a directory the user may not enter by himself. */
    if (!rlimits_apply(request, failure) || !restore_process(failure) || !change_directory(request->cwd, failure))
        return false;

    /* 5. The privileges themselves. */
    if (!become(&identity, capabilities, failure))
        return false;

    /* 6. The program. Returns only if that fails. */
    return program_run(request, identity.home, failure);
}

/* The descriptor has moved once the standard streams are in place. */
static _Noreturn void report_failure(const struct child_files *files, struct child_report *message)
{
    message->failed = true;
    report(fcntl(REPORT_FD, F_GETFD) >= 0 && fcntl(files->report, F_GETFD) < 0 ? REPORT_FD : files->report, message);
    _exit(127);
}

void child_main(const struct exec_request *request, const struct child_files *files, uint64_t capabilities)
{
    struct child_report message = {.failed = false, .pid = getpid()};
    report(files->report, &message);
    prepare(request, files, capabilities, &message.failure);
    report_failure(files, &message);
}

/* It stays in the agent's mount namespace, for its procfs, and is left with the right to read. */
static bool prepare_builtin(const struct child_files *files, int disk, struct failure *failure)
{
    if (!place_descriptors(files, disk, failure))
        return false;
    if (setsid() < 0)
        return fail(failure, FAILURE_OTHER, "setsid", errno, "cannot start a session");
    return restore_process(failure) && capabilities_keep(BUILTIN_CAPABILITIES, failure);
}

static int run_diff(void)
{
    int upper = openat(FIRST_FREE_FD, UPPER_NAME, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (upper >= 0)
        return diff_run(upper, STDOUT_FILENO);
    dprintf(STDERR_FILENO, "diff: the writable layer cannot be opened: %s\n", strerror(errno));
    return 1;
}

void child_builtin(enum builtin builtin, const struct child_files *files, int disk)
{
    struct child_report message = {.failed = false, .pid = getpid()};
    report(files->report, &message);
    if (!prepare_builtin(files, disk, &message.failure))
        report_failure(files, &message);
    /* As execve would: it runs. */
    close(REPORT_FD);
    _exit(builtin == BUILTIN_DIFF ? run_diff() : 127);
}
