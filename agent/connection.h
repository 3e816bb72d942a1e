/* What each frame of the host leads to. */
#pragma once

#include <stdint.h>

#include "cbor.h"
#include "failure.h"
#include "frame.h"

void connection_hello(void);
void connection_frame(const struct frame *frame, uint8_t *payload);
/* The host that opened the streams is gone: what runs goes on, unheard. */
void connection_lost(void);
