#include "exec.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "cgroup.h"
#include "child.h"
#include "container.h"
#include "output.h"
#include "port.h"
#include "reap.h"
#include "stream.h"
#include "sys.h"
#include "tty.h"

static bool allowed;
static uint64_t container_capabilities;
static int null_fd = -1;

void exec_allow(uint64_t capabilities)
{
    allowed = true;
    container_capabilities = capabilities;
    null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null_fd < 0)
        die("open /dev/null");
}

void exec_forbid(void)
{
    allowed = false;
}

static bool check(const struct exec_request *request, struct failure *failure)
{
    if (!allowed)
        return fail(failure, FAILURE_INVALID_STATE, "exec", EINVAL, "no container is running");
    if (request->too_long)
        return fail(failure, FAILURE_BAD_ARGUMENT, "exec", E2BIG, "arguments and environment are too long");
    if (request->has_nul)
        return fail(failure, FAILURE_BAD_ARGUMENT, "exec", EINVAL, "a text contains a NUL");
    if (request->builtin == BUILTIN_UNKNOWN)
        return fail(failure, FAILURE_BAD_ARGUMENT, "exec", ENOSYS, "the agent has no such program");
    if (request->builtin != BUILTIN_NONE && request->tty)
        return fail(failure, FAILURE_BAD_ARGUMENT, "exec", EINVAL, "programs of the agent take no terminal");
    if (request->builtin == BUILTIN_NONE && request->argv[0] == NULL)
        return fail(failure, FAILURE_BAD_ARGUMENT, "exec", EINVAL, "there is no command");
    return true;
}

/* A pipe whose agent end does not block; the other one must, or commands would see EAGAIN. */
static bool open_pipe(int ends[2], int agent_end)
{
    if (pipe2(ends, O_CLOEXEC) < 0)
        return false;
    if (fcntl(ends[agent_end], F_SETFL, O_NONBLOCK) == 0)
        return true;
    close(ends[0]);
    close(ends[1]);
    return false;
}

static bool open_terminal(struct stream *stream, const struct exec_request *request, struct child_files *files,
                          struct failure *failure)
{
    int master;
    stream->tty = true;
    files->terminal = tty_open(request->rows, request->cols, &master, failure);
    if (files->terminal < 0)
        return false;
    if (!output_watch(&stream->outputs[0], master)) {
        close(master);
        return fail(failure, FAILURE_OTHER, "epoll_ctl", errno, "cannot watch the terminal");
    }
    stream->input.source.fd = fcntl(master, F_DUPFD_CLOEXEC, 0);
    if (stream->input.source.fd < 0)
        return fail(failure, FAILURE_RESOURCE_LIMIT, "dup", errno, "cannot open the terminal's input");
    return true;
}

static bool open_pipes(struct stream *stream, const struct exec_request *request, struct child_files *files,
                       struct failure *failure)
{
    int ends[2];
    for (int i = 0; i < 2; i++) {
        if (!open_pipe(ends, 0))
            return fail(failure, FAILURE_RESOURCE_LIMIT, "pipe2", errno, "cannot open a pipe");
        files->streams[1 + i] = ends[1];
        if (!output_watch(&stream->outputs[i], ends[0])) {
            close(ends[0]);
            return fail(failure, FAILURE_OTHER, "epoll_ctl", errno, "cannot watch a pipe");
        }
    }
    if (!request->stdin_pipe)
        return true;
    if (!open_pipe(ends, 1))
        return fail(failure, FAILURE_RESOURCE_LIMIT, "pipe2", errno, "cannot open a pipe");
    files->streams[0] = ends[0];
    stream->input.source.fd = ends[1];
    return true;
}

static void close_child_files(const struct child_files *files)
{
    for (int i = 0; i < 3; i++)
        if (files->streams[i] >= 0 && files->streams[i] != null_fd)
            close(files->streams[i]);
    if (files->report >= 0)
        close(files->report);
}

static bool clone_child(struct stream *stream, const struct exec_request *request, const struct child_files *files,
                        struct failure *failure)
{
    int pidfd = -1;
    struct clone_args arguments = {
        .flags = CLONE_PIDFD | CLONE_INTO_CGROUP,
        .pidfd = (__u64)(uintptr_t)&pidfd,
        .exit_signal = SIGCHLD,
        .cgroup = (__u64)stream->leaf->fd,
    };
    stream->oom_kills = oom_kills_seen();
    stream->started_us = now_us();
    bool builtin = request->builtin != BUILTIN_NONE;
    stream->pid = builtin ? container_clone_outside(&arguments) : sys_clone3(&arguments);
    if (stream->pid == 0 && builtin)
        child_builtin(request->builtin, files, container_disk());
    if (stream->pid == 0)
        child_main(request, files, container_capabilities);
    if (stream->pid < 0) {
        enum failure_kind kind = errno == EAGAIN ? FAILURE_RESOURCE_LIMIT : errno == ENOMEM ? FAILURE_OUT_OF_MEMORY
                                                                                           : FAILURE_OTHER;
        return fail(failure, kind, "clone", errno, "cannot start a process");
    }
    if (!reap_watch(stream, pidfd)) {
        close(pidfd);
        leaf_kill(stream->leaf);
        return fail(failure, FAILURE_OTHER, "epoll_ctl", errno, "cannot watch the process");
    }
    return true;
}

static bool spawn(struct stream *stream, const struct exec_request *request, struct child_files *files,
                  struct failure *failure)
{
    /* 1. A group of its own, so that everything it starts can be found and killed. */
    stream->leaf = leaf_take(request->builtin == BUILTIN_NONE ? LEAF_BOX : LEAF_BUILTIN);
    if (stream->leaf == NULL)
        return fail(failure, FAILURE_RESOURCE_LIMIT, "cgroup", errno,
                    request->builtin == BUILTIN_NONE ? "too many executions left processes behind"
                                                     : "too many programs of the agent are running");

    /* 2. Its streams. */
    bool opened = request->tty ? open_terminal(stream, request, files, failure)
                               : open_pipes(stream, request, files, failure);
    if (!opened)
        return false;

    /* 3. The pipe that closes at execve, or tells why there was none. */
    int ends[2];
    if (!open_pipe(ends, 0))
        return fail(failure, FAILURE_RESOURCE_LIMIT, "pipe2", errno, "cannot open a pipe");
    files->report = ends[1];
    if (!reap_watch_report(stream, ends[0])) {
        close(ends[0]);
        return fail(failure, FAILURE_OTHER, "epoll_ctl", errno, "cannot watch a pipe");
    }

    /* 4. The process. */
    return clone_child(stream, request, files, failure);
}

void exec_start(uint32_t stream_id, const struct exec_request *request)
{
    struct failure failure;
    struct stream *stream = NULL;
    if (!check(request, &failure)) {
        reap_report_failure(stream_id, &failure);
        return;
    }
    stream = stream_add(stream_id);
    if (stream == NULL) {
        fail(&failure, FAILURE_RESOURCE_LIMIT, "exec", EAGAIN, "%u executions are running", MAX_STREAMS);
        reap_report_failure(stream_id, &failure);
        return;
    }
    struct child_files files = {
        .streams = {null_fd, -1, -1}, .terminal = -1, .report = -1, .namespaces = container_namespaces()};
    bool started = spawn(stream, request, &files, &failure);
    close_child_files(&files);
    if (!started) {
        stream_drop(stream);
        reap_report_failure(stream_id, &failure);
        return;
    }
    if (request->has_timeout)
        stream_set_deadline(stream, stream->started_us + request->timeout_ms * 1000u);
}
