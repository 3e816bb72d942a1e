/* Kernel modules of the initramfs. */
#pragma once

/* Loads what /modules/order lists, in that order, and removes the files. */
void modules_load(void);
