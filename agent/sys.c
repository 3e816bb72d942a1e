#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int console_fd = -1;

pid_t sys_clone3(struct clone_args *arguments)
{
    return (pid_t)syscall(SYS_clone3, arguments, sizeof *arguments);
}

int sys_openat2(int directory, const char *path, uint64_t flags, uint64_t resolve)
{
    struct open_how how = {.flags = flags | O_CLOEXEC, .resolve = resolve};
    return (int)syscall(SYS_openat2, directory, path, &how, sizeof how);
}

int sys_pivot_root(const char *new_root, const char *put_old)
{
    return (int)syscall(SYS_pivot_root, new_root, put_old);
}

int sys_finit_module(int fd, const char *parameters, unsigned flags)
{
    return (int)syscall(SYS_finit_module, fd, parameters, flags);
}

int sys_bpf(int command, union bpf_attr *attributes)
{
    return (int)syscall(SYS_bpf, command, attributes, sizeof *attributes);
}

uint64_t now_us(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) < 0)
        die("clock_gettime");
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

bool write_file_at(int directory, const char *path, const char *value)
{
    int fd = openat(directory, path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    size_t length = strlen(value);
    ssize_t written = write(fd, value, length);
    int saved = written < 0 ? errno : EIO;
    close(fd);
    errno = saved;
    return written == (ssize_t)length;
}

ssize_t read_file_at(int directory, const char *path, char *text, size_t capacity)
{
    int fd = openat(directory, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t length = read(fd, text, capacity - 1);
    int saved = errno;
    close(fd);
    errno = saved;
    text[length < 0 ? 0 : length] = '\0';
    return length;
}

void console_open(void)
{
    console_fd = open("/dev/console", O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
}

static void console_write(const char *format, va_list arguments, int error)
{
    char line[256];
    int length = snprintf(line, sizeof line, "coffer-agent: ");
    length += vsnprintf(line + length, sizeof line - (size_t)length, format, arguments);
    if (length > (int)sizeof line - 1)
        length = (int)sizeof line - 1;
    if (error != 0)
        length += snprintf(line + length, sizeof line - (size_t)length, ": %s", strerror(error));
    if (length > (int)sizeof line - 2)
        length = (int)sizeof line - 2;
    line[length++] = '\n';
    /* Nobody is left to tell when even the console fails. */
    if (write(console_fd, line, (size_t)length) < 0)
        return;
}

void console_line(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    console_write(format, arguments, 0);
    va_end(arguments);
}

void die(const char *format, ...)
{
    int error = errno;
    va_list arguments;
    va_start(arguments, format);
    console_write(format, arguments, error);
    va_end(arguments);
    power_off();
}

void power_off(void)
{
    sync();
    reboot(RB_POWER_OFF);
    /* Returns only without CAP_SYS_BOOT. The end of PID 1 is a kernel panic, which ends the VM too. */
    _exit(1);
}
