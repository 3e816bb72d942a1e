#include "capabilities.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sys.h"

bool capabilities_bound(uint64_t mask, struct failure *failure)
{
    /* The kernel may know more capabilities than this program's headers: EINVAL marks the end of its list. */
    for (unsigned long number = 0; number < 64; number++) {
        if (mask & (uint64_t)1 << number)
            continue;
        if (prctl(PR_CAPBSET_DROP, number, 0, 0, 0) == 0)
            continue;
        if (errno == EINVAL)
            break;
        return fail(failure, FAILURE_OTHER, "capbset", errno, "cannot drop capability %lu", number);
    }
    return true;
}

bool capabilities_keep(uint64_t mask, struct failure *failure)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct held[2];
    if (syscall(SYS_capget, &header, held) < 0)
        return fail(failure, FAILURE_OTHER, "capget", errno, "cannot read capabilities");
    for (unsigned word = 0; word < 2; word++) {
        /* Asking for a number the kernel does not know is an error, so only what is held can be kept. */
        held[word].permitted &= (uint32_t)(mask >> 32 * word);
        held[word].effective = held[word].permitted;
        held[word].inheritable = 0;
    }
    if (syscall(SYS_capset, &header, held) < 0)
        return fail(failure, FAILURE_OTHER, "capset", errno, "cannot set capabilities");
    return true;
}
