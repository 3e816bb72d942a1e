/* The virtio-serial port: frames in, frames out. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame.h"

void port_open(int fd);

/* Announces the agent, now or as soon as a host is connected. */
void port_announce(void);

/* Queues a control frame. Frames leave in the order of these calls. */
void port_send(uint8_t type, uint32_t stream, uint8_t flags, const void *payload, size_t length);

/* The most that is copied into one data frame: with its header it fills what one write may hand to the device. */
#define PORT_COPY_BYTES (32u * 1024u - HEADER_BYTES)

/* Room for PORT_COPY_BYTES of payload of one data frame, NULL while the previous one still waits. */
uint8_t *port_data_room(void);
/* Sends what was written to that room. */
void port_send_data(uint8_t type, uint32_t stream, size_t length);

/* Sends `length` bytes that `pipe` holds as one data frame, without a copy; only when there is room. False if it cannot be done. */
bool port_send_pipe(uint8_t type, uint32_t stream, int pipe, size_t length);

/* Tells the host what it did wrong and ignores it until it connects again. */
void port_refuse(const char *message);

/* Reads and writes as much as a turn of the loop may. */
void port_turn(void);
/* True if another turn has work to do without waiting for an event. */
bool port_busy(void);
/* True once everything queued has been handed to the device. */
bool port_idle(void);
bool port_connected(void);
/* Waits until the host closes the connection, but not for long. */
void port_await_hang_up(int timeout_ms);
