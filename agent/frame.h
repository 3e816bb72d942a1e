/* The header in front of every frame, and what the host may send. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "protocol.h"

struct frame {
    uint32_t length;
    uint32_t stream;
    uint8_t type;
    uint8_t flags;
    uint16_t reserved;
};

void frame_encode(uint8_t header[static HEADER_BYTES], const struct frame *frame);
void frame_decode(struct frame *frame, const uint8_t header[static HEADER_BYTES]);

/* What is wrong with a header from the host, or NULL. Checked before a byte of payload is awaited. */
const char *frame_problem(const struct frame *frame);

/* Where a hello may begin: what lies before is of no use. */
size_t frame_seek_hello(const uint8_t *bytes, size_t length);

uint32_t load_u32(const uint8_t *bytes);
uint16_t load_u16(const uint8_t *bytes);
void store_u32(uint8_t *bytes, uint32_t value);
