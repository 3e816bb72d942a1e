#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "capabilities.h"
#include "directories.h"
#include "files.h"
#include "path_list.h"
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

struct order {
    enum init_order kind;
    char text[HOSTNAME_BYTES + PATH_LIST_BYTES];
};

static bool mount_root(const struct init_devices *devices, int *disk, struct failure *failure)
{
    static bool mounted;
    mounted = mounted || rootfs_enter(devices->image, devices->disk, disk, failure);
    return mounted;
}

static bool start_box(struct order *order, size_t length, struct failure *failure)
{
    size_t named = strlen(order->text);
    if (sethostname(order->text, named) < 0)
        return fail(failure, FAILURE_BAD_ARGUMENT, "sethostname", errno, "not a hostname");
    directories_make(order->text + named + 1, length - named - 1);
    return give_up_privileges(failure);
}

static bool ready_template(const struct order *order, size_t length, int disk, struct failure *failure)
{
    files_read(order->text, length);
    /* What a template saves of the disk is then what is on it: no box inherits a journal to be written. */
    return disk < 0 || syncfs(disk) == 0 || fail(failure, FAILURE_OTHER, "syncfs", errno, "cannot write the disk");
}

/* Whether it was the last. */
static bool carry_out(int control, const struct init_devices *devices)
{
    static struct order order;
    struct init_reply reply = {.ok = true};
    int disk = -1;
    ssize_t length = recv(control, &order, sizeof order, 0);
    if (length < (ssize_t)offsetof(struct order, text))
        die("the container's init: no configuration");
    size_t text_length = (size_t)length - offsetof(struct order, text);
    reply.ok = mount_root(devices, &disk, &reply.failure);
    reply.mounted_us = now_us();
    if (reply.ok)
        reply.ok = order.kind == INIT_START ? start_box(&order, text_length, &reply.failure)
                                            : ready_template(&order, text_length, disk, &reply.failure);
    reply_to_agent(control, &reply, disk);
    if (disk >= 0)
        close(disk);
    return order.kind == INIT_START || !reply.ok;
}

void init_main(int control, const struct init_devices *devices)
{
    struct init_reply reply = {.ok = true};

    /* 1. The group it was born in becomes the root of what the container sees; the agent then takes it out of there. */
    if (unshare(CLONE_NEWCGROUP) < 0)
        die("the container's init: cgroup");
    prctl(PR_SET_NAME, "coffer-init");
    /* The kernel spares the agent, which is the init of the machine, but not this one. */
    if (!write_file_at(AT_FDCWD, "/proc/self/oom_score_adj", "-1000"))
        die("the container's init: oom_score_adj");

    /* 2. Everything that needs no image. */
    stage_container();
    rootfs_prepare();
    reply_to_agent(control, &reply, rootfs_processes());

    /* 3. The waits in which templates are taken, and the box. */
    while (!carry_out(control, devices))
        continue;

    /* 4. Nothing of the agent stays open. Until it is closed, /proc/1 shows it to no one: init is not dumpable. */
    close_range(0, ~0u, 0);
    reap();
}
