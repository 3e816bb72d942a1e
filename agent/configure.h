/* The frame that makes a box of a VM: once, before any command. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* While the template boots: opens what is written later. */
void configure_open(void);
void configure_run(uint8_t *payload, size_t length);
