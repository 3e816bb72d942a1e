#include "container.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "init.h"
#include "path_list.h"
#include "stage.h"
#include "virtio.h"

static int init_pidfd = -1, control_fd = -1, disk_fd = -1, terminals_fd = -1, processes_fd = -1;
/* The agent's own pid namespace. */
static int own_pids_fd = -1;

/* An answer of init, and the descriptor that comes with it. */
static bool receive_reply(struct init_reply *reply, int *fd)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {.iov_base = reply, .iov_len = sizeof *reply};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    if (recvmsg(control_fd, &message, MSG_CMSG_CLOEXEC) != sizeof *reply)
        return false;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header != NULL && header->cmsg_type == SCM_RIGHTS)
        memcpy(fd, CMSG_DATA(header), sizeof *fd);
    return true;
}

void container_create(void)
{
    /* 1. The disks, which init mounts later. */
    struct init_devices devices;
    virtio_find_disk("image", devices.image);
    virtio_find_disk("disk", devices.disk);

    /* 2. The trees that agent and container share. */
    stage_shared();
    terminals_fd = open(STAGE_DEV "/pts", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int sockets[2];
    if (terminals_fd < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
        die("prepare the container");

    /* 3. Init, born in the group that becomes the root of its cgroup namespace. */
    struct clone_args arguments = {
        .flags = CLONE_PIDFD | CLONE_INTO_CGROUP | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC,
        .pidfd = (__u64)(uintptr_t)&init_pidfd,
        .exit_signal = SIGCHLD,
        .cgroup = (__u64)cgroup_box(),
    };
    pid_t pid = sys_clone3(&arguments);
    if (pid < 0)
        die("clone the container's init");
    if (pid == 0)
        init_main(sockets[1], &devices);
    close(sockets[1]);
    control_fd = sockets[0];

    /* 4. The template is complete only when init has staged its part. */
    struct init_reply reply;
    if (!receive_reply(&reply, &processes_fd)) {
        errno = ECHILD;
        die("the container's init");
    }
    /* The device filter of the box would not let it open the disks. */
    cgroup_exempt(pid);

    /* 5. From here on, children of the agent are born in the container's pid namespace. */
    own_pids_fd = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
    if (own_pids_fd < 0 || setns(init_pidfd, CLONE_NEWPID) < 0)
        die("setns");
}

pid_t container_clone_outside(struct clone_args *arguments)
{
    if (setns(own_pids_fd, CLONE_NEWPID) < 0)
        return -1;
    pid_t pid = sys_clone3(arguments);
    int error = errno;
    /* A command born outside the container would be the end of it. */
    if (pid != 0 && setns(init_pidfd, CLONE_NEWPID) < 0)
        die("setns");
    errno = error;
    return pid;
}

static bool order(struct msghdr *message, struct init_reply *reply, struct failure *failure)
{
    ssize_t length = 0;
    for (size_t i = 0; i < message->msg_iovlen; i++)
        length += (ssize_t)message->msg_iov[i].iov_len;
    if (sendmsg(control_fd, message, MSG_NOSIGNAL) != length || !receive_reply(reply, &disk_fd))
        return fail(failure, FAILURE_OTHER, "init", errno, "the container's init is gone");
    if (!reply->ok)
        *failure = reply->failure;
    return reply->ok;
}

bool container_mount(const struct path_list *files, struct failure *failure)
{
    struct init_reply reply;
    enum init_order mount = INIT_MOUNT;
    struct iovec parts[] = {{.iov_base = &mount, .iov_len = sizeof mount},
                            {.iov_base = (void *)(uintptr_t)files->bytes, .iov_len = files->length}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = LENGTH(parts)};
    if (control_fd < 0)
        return fail(failure, FAILURE_INVALID_STATE, "mount", EALREADY, "the box has been configured");
    return order(&message, &reply, failure);
}

bool container_start(const struct container_box *box, uint64_t *mounted_us, struct failure *failure)
{
    struct init_reply reply;
    enum init_order start = INIT_START;
    struct iovec parts[] = {{.iov_base = &start, .iov_len = sizeof start},
                            {.iov_base = (void *)(uintptr_t)box->hostname, .iov_len = strlen(box->hostname) + 1},
                            {.iov_base = (void *)(uintptr_t)box->directories->bytes, .iov_len = box->directories->length}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = LENGTH(parts)};
    bool started = order(&message, &reply, failure);
    close(control_fd);
    control_fd = -1;
    if (started)
        *mounted_us = reply.mounted_us;
    return started;
}

int container_namespaces(void)
{
    return init_pidfd;
}

int container_disk(void)
{
    return disk_fd;
}

int container_processes(void)
{
    return processes_fd;
}

int container_terminals(void)
{
    return terminals_fd;
}

void container_end(void)
{
    if (pidfd_send_signal(init_pidfd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
        console_line("kill the container's init: %s", strerror(errno));
}
