#include "rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stage.h"
#include "target.h"

struct staged {
    const char *path;
    const char *name;
    int fd;
};

static struct staged trees[] = {
    {STAGE_PROC, "proc", -1},
    {STAGE_SYS, "sys", -1},
    {STAGE_DEV, "dev", -1},
};

static struct staged files[] = {
    {STAGE_FILES "/resolv.conf", "resolv.conf", -1},
    {STAGE_FILES "/hosts", "hosts", -1},
    {STAGE_FILES "/hostname", "hostname", -1},
    {STAGE_FILES "/machine-id", "machine-id", -1},
};

static void take(struct staged *staged, unsigned flags)
{
    staged->fd = open_tree(AT_FDCWD, staged->path, OPEN_TREE_CLOEXEC | flags);
    if (staged->fd < 0)
        die("open_tree %s", staged->path);
}

void rootfs_prepare(void)
{
    for (unsigned i = 0; i < LENGTH(trees); i++)
        take(&trees[i], 0);
    for (unsigned i = 0; i < LENGTH(files); i++)
        take(&files[i], OPEN_TREE_CLONE);
}

int rootfs_processes(void)
{
    int fd = open(STAGE_PROC, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        die("open the container's proc");
    return fd;
}

/* Directories of overlayfs on a disk that is new, or that a box before this one left. */
static bool make_layer(int disk, struct failure *failure)
{
    static const char *const names[] = {UPPER_NAME, "work"};
    for (unsigned i = 0; i < LENGTH(names); i++)
        if (mkdirat(disk, names[i], 0755) < 0 && errno != EEXIST)
            return fail(failure, FAILURE_OTHER, "mkdir", errno, "cannot make %s on the disk", names[i]);
    return true;
}

/* EROFS, unless the image is a disk of the user's. Such a one's journal is not replayed: the device cannot be written. */
static bool mount_image(const char *device)
{
    if (mount(device, STAGE_IMAGE, "erofs", MS_RDONLY, NULL) == 0)
        return true;
    /* What it says about a superblock that is not its own. */
    return errno == EINVAL && mount(device, STAGE_IMAGE, "ext4", MS_RDONLY, "noload") == 0;
}

static bool mount_layers(const char *image_device, const char *disk_device, int *disk, struct failure *failure)
{
    if (!mount_image(image_device))
        return fail(failure, FAILURE_OTHER, "mount image", errno, "cannot mount the image");
    if (mount(disk_device, STAGE_DISK, "ext4", MS_NOATIME, "errors=remount-ro,noinit_itable") < 0)
        return fail(failure, FAILURE_OTHER, "mount disk", errno, "cannot mount the disk");
    *disk = open(STAGE_DISK, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*disk < 0)
        return fail(failure, FAILURE_OTHER, "open disk", errno, "cannot open the disk");
    if (!make_layer(*disk, failure))
        return false;
    /* Whatever the kernel's defaults: a layer in which an entry leans on another place could not be exported by itself. */
    const char *options = "lowerdir=" STAGE_IMAGE ",upperdir=" STAGE_DISK "/" UPPER_NAME ",workdir=" STAGE_DISK "/work,"
                          "redirect_dir=nofollow,metacopy=off,index=off";
    if (mount("overlay", STAGE_ROOT, "overlay", MS_NOATIME, options) < 0)
        return fail(failure, FAILURE_OTHER, "mount overlay", errno, "cannot join image and disk");
    return true;
}

static bool attach(const struct staged *staged, int target, struct failure *failure)
{
    if (target < 0)
        return false;
    int result = move_mount(staged->fd, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
    int error = errno;
    close(target);
    if (result < 0)
        return fail(failure, FAILURE_OTHER, "move_mount", error, "cannot mount %s in the box", staged->name);
    return true;
}

static bool attach_all(int root, struct failure *failure)
{
    int etc = target_etc(root, failure);
    if (etc < 0)
        return false;
    for (unsigned i = 0; i < LENGTH(files); i++)
        if (!attach(&files[i], target_etc_file(root, etc, files[i].name, failure), failure))
            return false;
    close(etc);
    for (unsigned i = 0; i < LENGTH(trees); i++)
        if (!attach(&trees[i], target_directory(root, trees[i].name, failure), failure))
            return false;
    return target_tmp(root, failure);
}

bool rootfs_enter(const char *image_device, const char *disk_device, int *disk, struct failure *failure)
{
    /* 1. The image below, the disk above. */
    if (!mount_layers(image_device, disk_device, disk, failure))
        return false;

    /* 2. What was staged, into it. No process of the image runs yet, so nothing changes under these steps. */
    int root = open(STAGE_ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return fail(failure, FAILURE_OTHER, "open root", errno, "cannot open the box's root");
    if (!attach_all(root, failure))
        return false;

    /* 3. Old and new root in one place: no directory of the image has to hold the old one. */
    if (fchdir(root) < 0 || sys_pivot_root(".", ".") < 0)
        return fail(failure, FAILURE_OTHER, "pivot_root", errno, "cannot enter the box's root");
    close(root);

    /* 4. The current directory is now the old root, on top of the new one. */
    if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
        return fail(failure, FAILURE_OTHER, "umount", errno, "cannot leave the agent's root");
    return true;
}
