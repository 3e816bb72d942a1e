/* Pipes that outlived the execution they belonged to: read and dropped until the last writer is gone. */
#pragma once

#include "loop.h"

void sinks_open(void);
/* Takes over the descriptor; `source` is closed afterwards. */
void sink_adopt(struct source *source);
