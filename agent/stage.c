#include "stage.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "sys.h"

#define PLAIN (MS_NOSUID | MS_NODEV | MS_NOEXEC)

static void make_directory(const char *path, mode_t mode)
{
    if (mkdir(path, mode) < 0)
        die("mkdir %s", path);
}

static void mount_at(const char *type, const char *target, unsigned long flags, const char *options)
{
    if (mount(type, target, type, flags, options) < 0)
        die("mount %s", target);
}

/* Linux takes the read-only flag of a bind mount only in a second call. */
static void bind_read_only(const char *source, const char *target, unsigned long flags)
{
    if (mount(source, target, NULL, MS_BIND, NULL) < 0) {
        /* Not every kernel has every one of these paths. */
        if (errno == ENOENT)
            return;
        die("bind over %s", target);
    }
    if (mount(NULL, target, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | flags, NULL) < 0)
        die("make %s read-only", target);
}

static void make_devices(void)
{
    static const struct {
        const char *path;
        unsigned major, minor;
    } nodes[] = {
        {STAGE_DEV "/null", 1, 3},   {STAGE_DEV "/zero", 1, 5},    {STAGE_DEV "/full", 1, 7},
        {STAGE_DEV "/random", 1, 8}, {STAGE_DEV "/urandom", 1, 9}, {STAGE_DEV "/tty", 5, 0},
    };
    static const char *const links[][2] = {
        {"/proc/self/fd", STAGE_DEV "/fd"},       {"/proc/self/fd/0", STAGE_DEV "/stdin"},
        {"/proc/self/fd/1", STAGE_DEV "/stdout"}, {"/proc/self/fd/2", STAGE_DEV "/stderr"},
        {"pts/ptmx", STAGE_DEV "/ptmx"},
    };
    for (unsigned i = 0; i < LENGTH(nodes); i++)
        /* The mode of mknod is cut by umask. */
        if (mknod(nodes[i].path, S_IFCHR, makedev(nodes[i].major, nodes[i].minor)) < 0
            || chmod(nodes[i].path, 0666) < 0)
            die("make %s", nodes[i].path);
    for (unsigned i = 0; i < LENGTH(links); i++)
        if (symlink(links[i][0], links[i][1]) < 0)
            die("link %s", links[i][1]);
}

static void make_files(void)
{
    static const struct {
        const char *path;
        mode_t mode;
    } files[] = {
        {STAGE_FILES "/resolv.conf", 0644}, {STAGE_FILES "/hosts", 0644},   {STAGE_FILES "/hostname", 0644},
        {STAGE_FILES "/machine-id", 0444},  {STAGE_FILES "/boot_id", 0444},
    };
    for (unsigned i = 0; i < LENGTH(files); i++) {
        int fd = open(files[i].path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, files[i].mode);
        if (fd < 0)
            die("create %s", files[i].path);
        close(fd);
    }
}

void stage_shared(void)
{
    static const char *const directories[] = {STAGE,      STAGE_FILES, STAGE_DEV,  STAGE_PROC,
                                              STAGE_SYS,  STAGE_IMAGE, STAGE_DISK, STAGE_ROOT};
    for (unsigned i = 0; i < LENGTH(directories); i++)
        make_directory(directories[i], 0755);

    mount_at("tmpfs", STAGE_FILES, PLAIN, "mode=0755,size=8m");
    make_files();

    mount_at("tmpfs", STAGE_DEV, MS_NOSUID | MS_NOEXEC, "mode=0755,size=64k");
    make_devices();
    make_directory(STAGE_DEV "/pts", 0755);
    make_directory(STAGE_DEV "/shm", 0755);
    make_directory(STAGE_DEV "/mqueue", 0755);
    mount_at("devpts", STAGE_DEV "/pts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5");
    mount_at("tmpfs", STAGE_DEV "/shm", PLAIN, "mode=1777,size=64m");
}

/* The lists of Docker's default container. */
static void stage_proc(void)
{
    static const char *const masked_files[] = {"/kcore", "/keys", "/timer_list", "/sched_debug", "/latency_stats"};
    static const char *const masked_directories[] = {STAGE_PROC "/acpi", STAGE_PROC "/scsi", STAGE_SYS "/firmware",
                                                     STAGE_SYS "/devices/virtual/powercap"};
    static const char *const read_only[] = {"/bus", "/fs", "/irq", "/sys", "/sysrq-trigger"};
    char path[64];
    for (unsigned i = 0; i < LENGTH(masked_files); i++) {
        stpcpy(stpcpy(path, STAGE_PROC), masked_files[i]);
        if (mount(STAGE_DEV "/null", path, NULL, MS_BIND, NULL) < 0 && errno != ENOENT)
            die("mask %s", path);
    }
    for (unsigned i = 0; i < LENGTH(masked_directories); i++)
        if (mount("tmpfs", masked_directories[i], "tmpfs", PLAIN | MS_RDONLY, "mode=0555,size=4k") < 0
            && errno != ENOENT)
            die("mask %s", masked_directories[i]);
    for (unsigned i = 0; i < LENGTH(read_only); i++) {
        stpcpy(stpcpy(path, STAGE_PROC), read_only[i]);
        bind_read_only(path, path, PLAIN);
    }
    /* One template, many boxes: without this they would all show the boot id of the template. */
    bind_read_only(STAGE_FILES "/boot_id", STAGE_PROC "/sys/kernel/random/boot_id", PLAIN);
}

void stage_container(void)
{
    mount_at("mqueue", STAGE_DEV "/mqueue", PLAIN, NULL);
    mount_at("sysfs", STAGE_SYS, PLAIN | MS_RDONLY, NULL);
    mount_at("cgroup2", STAGE_SYS "/fs/cgroup", PLAIN | MS_RDONLY, NULL);
    mount_at("proc", STAGE_PROC, PLAIN, NULL);
    stage_proc();
}
