/* The processes of the container, as the request `top` shows them. */
#pragma once

#include <stdint.h>

void top_answer(uint32_t stream);
