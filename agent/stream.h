/* The table of executions. An entry lives from the exec frame until its last frame has been sent. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cgroup.h"
#include "loop.h"
#include "protocol.h"

struct stream;

/* Output of a process on its way to the host. */
struct output {
    struct source source;
    struct stream *stream;
    struct output *next;
    enum frame_type type;
    uint64_t credit;
    /* After the exit: what of the pipe still belongs to the process that ended. */
    uint64_t left;
    bool queued;
    bool readable;
    bool enlarged;
    bool ended;
};

/* Input of the host on its way to a process. */
struct input {
    struct source source;
    uint8_t *bytes;
    uint32_t start;
    uint32_t length;
    /* What the host may still send, and what it may be granted again. */
    uint32_t granted;
    uint32_t owed;
    bool watched;
    bool end;
    bool failed;
};

struct stream {
    uint32_t id;
    bool used;
    /* Nobody listens: output is dropped, and no frame is sent. */
    bool orphan;
    bool discard;
    bool tty;
    bool running;
    bool exited;
    bool timed_out;
    pid_t pid;
    struct source status;
    struct source process;
    struct output outputs[2];
    struct input input;
    struct leaf *leaf;
    uint64_t started_us;
    uint64_t deadline_us;
    uint64_t oom_kills;
};

void streams_open(void);
struct stream *stream_find(uint32_t id);
struct stream *stream_add(uint32_t id);
/* Frees the entry if nothing more is to come on it. */
void stream_settle(struct stream *stream);
/* Frees the entry of an execution that never ran. */
void stream_drop(struct stream *stream);
void stream_orphan_all(void);
/* Takes the end of every process that has ended. */
void stream_reap_all(void);
void stream_set_deadline(struct stream *stream, uint64_t deadline_us);
/* Kills what is past its deadline. Returns the milliseconds until the next one, -1 if there is none. */
int stream_expire(void);
void stream_send(const struct stream *stream, uint8_t type, uint8_t flags, const void *payload, size_t length);
