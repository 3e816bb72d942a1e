#include "boot.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "modules.h"
#include "sys.h"

/* Descriptors for every stream's pipes and leaf, and then some. */
#define MAX_DESCRIPTORS 65536
#define ROOT "/root"

static void mount_new(const char *type, const char *target, unsigned long flags, const char *options)
{
    if (mkdir(target, 0755) < 0 && errno != EEXIST)
        die("mkdir %s", target);
    if (mount(type, target, type, flags, options) < 0)
        die("mount %s", target);
}

void boot_early(void)
{
    /* 1. A signal without a handler ends no PID 1, but SIGCHLD and friends would interrupt its system calls. */
    sigset_t all;
    sigfillset(&all);
    if (sigprocmask(SIG_BLOCK, &all, NULL) < 0)
        die("sigprocmask");

    /* 2. The kernel opened the console only if the initramfs has a node for it. */
    mount_new("devtmpfs", "/dev", MS_NOSUID | MS_NOEXEC, "mode=0755,size=1m");
    console_open();

    /* 3. Descriptors 0 to 2 must be taken, or a pipe gets one of them and a child overwrites it. */
    int null_fd;
    do {
        null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (null_fd < 0)
            die("open /dev/null");
    } while (null_fd <= 2);
    close(null_fd);
}

/* The initramfs cannot be left by pivot_root: it has no parent. A tmpfs mounted over it does. */
static void leave_initramfs(void)
{
    mount_new("tmpfs", ROOT, MS_NOSUID, "mode=0755,size=4m");
    mount_new("devtmpfs", ROOT "/dev", MS_NOSUID | MS_NOEXEC, "mode=0755,size=1m");
    mount_new("proc", ROOT "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    mount_new("sysfs", ROOT "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    mount_new("cgroup2", ROOT "/sys/fs/cgroup", MS_NOSUID | MS_NODEV | MS_NOEXEC, "nsdelegate");
    if (umount2("/dev", MNT_DETACH) < 0)
        die("umount /dev");
    if (chdir(ROOT) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
        die("leave the initramfs");
}

/* A fork inherits all of these, and only execve or the child itself takes them back. */
static void protect_process(void)
{
    if (prctl(PR_SET_DUMPABLE, 0) < 0)
        die("prctl dumpable");
    /* Woken by a writer, the agent would else interrupt it at its first page, and emulation pays for every change of address space: it
     * has to find its translated code again. So the agent runs when whoever woke it waits, or at the next tick. */
    struct sched_param parameter = {.sched_priority = 0};
    if (sched_setscheduler(0, SCHED_BATCH, &parameter) < 0)
        die("sched_setscheduler");
    struct rlimit limit = {.rlim_cur = MAX_DESCRIPTORS, .rlim_max = MAX_DESCRIPTORS};
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        die("setrlimit");
    umask(022);
}

static void set_sysctls(void)
{
    static const char *const sysctls[][2] = {
        {"fs/protected_hardlinks", "1"},
        {"fs/protected_symlinks", "1"},
        {"fs/protected_fifos", "1"},
        {"fs/protected_regular", "2"},
        {"kernel/dmesg_restrict", "1"},
        {"kernel/kptr_restrict", "2"},
        {"kernel/unprivileged_bpf_disabled", "1"},
        {"kernel/core_pattern", "core"},
        /* As in a Docker container: ping and low ports without being root. */
        {"net/ipv4/ping_group_range", "0 2147483647"},
        {"net/ipv4/ip_unprivileged_port_start", "0"},
    };
    int directory = open("/proc/sys", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        die("open /proc/sys");
    for (unsigned i = 0; i < LENGTH(sysctls); i++)
        /* A kernel built without a knob has nothing to restrict there. */
        if (!write_file_at(directory, sysctls[i][0], sysctls[i][1]) && errno != ENOENT)
            console_line("sysctl %s: %s", sysctls[i][0], strerror(errno));
    close(directory);
}

static void raise_loopback(void)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        die("bring up lo");
    close(fd);
}

void boot_system(void)
{
    modules_load();
    leave_initramfs();
    protect_process();
    set_sysctls();
    raise_loopback();
}
