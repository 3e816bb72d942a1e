/* System calls that glibc does not wrap, the clock, and the console line of last resort. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define PRINTF(text, first) __attribute__((format(printf, text, first)))

struct clone_args;
union bpf_attr;

pid_t sys_clone3(struct clone_args *arguments);
int sys_openat2(int directory, const char *path, uint64_t flags, uint64_t resolve);
int sys_pivot_root(const char *new_root, const char *put_old);
int sys_finit_module(int fd, const char *parameters, unsigned flags);
int sys_bpf(int command, union bpf_attr *attributes);

/* CLOCK_MONOTONIC: it stands still while the VM is stopped, so a pause does not use up a timeout. */
uint64_t now_us(void);

/* Writes a whole small kernel file: sysfs, procfs and cgroupfs take a value in one write or refuse it. */
bool write_file_at(int directory, const char *path, const char *value);
/* Reads a small kernel file as text; returns its length or -1. */
ssize_t read_file_at(int directory, const char *path, char *text, size_t capacity);

/* One line on the VM's console: what the host's log shows when the port does not work. */
void console_open(void);
void console_line(const char *format, ...) PRINTF(1, 2);
/* The VM is of no use any more: say why with errno, and power off. */
_Noreturn void die(const char *format, ...) PRINTF(1, 2);
_Noreturn void power_off(void);
