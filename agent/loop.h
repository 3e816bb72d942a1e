/* The one epoll set. A source is embedded in what it belongs to and lives in static memory. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct source {
    int fd;
    void (*ready)(struct source *source, uint32_t events);
};

void loop_open(void);
bool loop_add(struct source *source, int fd, uint32_t events, void (*ready)(struct source *, uint32_t));
/* Gives the descriptor of one source to another. */
bool loop_move(struct source *to, struct source *from, uint32_t events, void (*ready)(struct source *, uint32_t));
/* Closes the descriptor. Safe to repeat; `fd` is -1 afterwards. */
void loop_close(struct source *source);
/* Waits and calls what is ready. A handler may run for an event of a descriptor closed just before: it must cope. */
void loop_wait(int timeout_ms);
