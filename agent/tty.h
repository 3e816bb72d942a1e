/* Pseudo-terminals of the container's own /dev/pts. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "failure.h"
#include "stream.h"

/* Opens a terminal of this size; returns its number, or -1. `master` becomes the agent's side. */
int tty_open(uint16_t rows, uint16_t cols, int *master, struct failure *failure);
/* In the child, as leader of a session: the terminal becomes its own, and its standard streams. */
bool tty_attach(int number, uid_t owner, struct failure *failure);
void tty_resize(struct stream *stream, uint16_t rows, uint16_t cols);
