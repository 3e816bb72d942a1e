#include "rlimits.h"

#include <errno.h>
#include <sys/resource.h>

static bool set(unsigned number, uint64_t soft, uint64_t hard, struct failure *failure)
{
    struct rlimit limit = {.rlim_cur = soft, .rlim_max = hard};
    if (setrlimit((__rlimit_resource_t)number, &limit) == 0)
        return true;
    enum failure_kind kind = errno == EINVAL ? FAILURE_BAD_ARGUMENT : FAILURE_OTHER;
    return fail(failure, kind, "setrlimit", errno, "cannot set resource limit %u", number);
}

bool rlimits_apply(const struct exec_request *request, struct failure *failure)
{
    /* The agent's own limits are not those of a login, so what differs is set first. */
    if (!set(LIMIT_NOFILE, 1024, 524288, failure) || !set(LIMIT_CORE, 0, RLIM_INFINITY, failure))
        return false;
    for (unsigned number = 0; number < RLIMIT_COUNT; number++)
        if (request->limits & 1u << number && !set(number, request->soft[number], request->hard[number], failure))
            return false;
    return true;
}
