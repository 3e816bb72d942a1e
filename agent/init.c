#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "capabilities.h"
#include "directories.h"
#include "rootfs.h"
#include "stage.h"
#include "sys.h"

static void reply_to_agent(int control, const struct init_reply *reply, int fd)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } rights = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    struct iovec part = {.iov_base = (void *)(uintptr_t)reply, .iov_len = sizeof *reply};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd >= 0) {
        memcpy(CMSG_DATA(&rights.header), &fd, sizeof fd);
        message.msg_control = &rights;
        message.msg_controllen = sizeof rights;
    }
    if (sendmsg(control, &message, MSG_NOSIGNAL) < 0)
        die("the container's init cannot answer");
}

/* Its memory is a copy of the agent's and its privileges were the agent's: none of that may be reached from inside. */
static bool give_up_privileges(struct failure *failure)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return fail(failure, FAILURE_OTHER, "no_new_privs", errno, "cannot restrict the container's init");
    return capabilities_bound(0, failure) && capabilities_keep(0, failure);
}

static _Noreturn void reap(void)
{
    sigset_t children;
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    for (;;) {
        /* SIGCHLD is blocked and stays pending, so a child that ends between the two calls is not missed. */
        while (waitpid(-1, NULL, WNOHANG) > 0)
            continue;
        sigwaitinfo(&children, NULL);
    }
}

void init_main(int control, const struct init_devices *devices)
{
    struct init_reply reply = {.ok = true};
    /* The hostname with its NUL, then directories. */
    static char message[HOSTNAME_BYTES + DIRECTORIES_BYTES];
    int disk = -1;

    /* 1. The group it was born in becomes the root of what the container sees; the agent then takes it out of there. */
    if (unshare(CLONE_NEWCGROUP) < 0)
        die("the container's init: cgroup");
    prctl(PR_SET_NAME, "coffer-init");
    /* The kernel spares the agent, which is the init of the machine, but not this one. */
    if (!write_file_at(AT_FDCWD, "/proc/self/oom_score_adj", "-1000"))
        die("the container's init: oom_score_adj");

    /* 2. Everything that needs no image, then the wait in which the template is taken. */
    stage_container();
    rootfs_prepare();
    reply_to_agent(control, &reply, rootfs_processes());
    ssize_t length = recv(control, message, sizeof message, 0);
    if (length <= 0)
        die("the container's init: no configuration");
    size_t named = strlen(message);

    /* 3. The box. */
    reply.ok = rootfs_enter(devices->image, devices->disk, &disk, &reply.mounted_us, &reply.failure);
    if (reply.ok && sethostname(message, named) < 0)
        reply.ok = fail(&reply.failure, FAILURE_BAD_ARGUMENT, "sethostname", errno, "not a hostname");
    if (reply.ok)
        directories_make(message + named + 1, (size_t)length - named - 1);
    reply.ok = reply.ok && give_up_privileges(&reply.failure);

    /* 4. Nothing of the agent stays open. Until it is closed, /proc/1 shows it to no one: init is not dumpable. */
    reply_to_agent(control, &reply, disk);
    close_range(0, ~0u, 0);
    reap();
}
