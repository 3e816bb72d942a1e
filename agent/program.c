#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "path.h"
#include "user.h"

static bool is_directory(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static bool explain(const char *path, int error, struct failure *failure)
{
    switch (error) {
    case ENOENT:
        /* Also what Linux says of an interpreter that is missing. */
        if (access(path, F_OK) == 0)
            return fail(failure, FAILURE_BAD_INTERPRETER, "execve", error, "the interpreter of %.100s is missing",
                        path);
        return fail(failure, FAILURE_NOT_FOUND, "execve", error, "%.100s: no such file", path);
    case ENOTDIR:
    case ENAMETOOLONG:
    case ELOOP:
        return fail(failure, FAILURE_NOT_FOUND, "execve", error, "%.100s: no such file", path);
    case EACCES:
        return fail(failure, FAILURE_NOT_EXECUTABLE, "execve", error,
                    is_directory(path) ? "%.100s is a directory" : "%.100s may not be executed", path);
    case EPERM:
    case ETXTBSY:
        return fail(failure, FAILURE_NOT_EXECUTABLE, "execve", error, "%.100s may not be executed", path);
    case ENOEXEC:
        return fail(failure, FAILURE_NOT_EXECUTABLE, "execve", error,
                    "%.100s is no program of this machine and has no #! line", path);
    case ELIBBAD:
        return fail(failure, FAILURE_BAD_INTERPRETER, "execve", error, "the interpreter of %.100s is broken", path);
    case E2BIG:
        return fail(failure, FAILURE_BAD_ARGUMENT, "execve", error, "arguments and environment are too long");
    case ENOMEM:
        return fail(failure, FAILURE_OUT_OF_MEMORY, "execve", error, "not enough memory");
    case EAGAIN:
        return fail(failure, FAILURE_RESOURCE_LIMIT, "execve", error, "the user has too many processes");
    default:
        return fail(failure, FAILURE_OTHER, "execve", error, "cannot run %.100s", path);
    }
}

/* Errors of a path that leads nowhere. */
static bool leads_nowhere(int error)
{
    return error == ENOENT || error == ENOTDIR || error == ELOOP || error == ENAMETOOLONG;
}

/* A look costs little: execve copies arguments and environment into new memory before it looks for the file. */
static bool is_absent(const char *path)
{
    return faccessat(AT_FDCWD, path, F_OK, AT_EACCESS) < 0 && leads_nowhere(errno);
}

/* Whatever is not "look further" ends the search, as in execvpe. */
static bool search(const struct exec_request *request, char *const env[], struct failure *failure)
{
    char candidate[PATH_MAX];
    char refused[PATH_MAX] = "";
    const char *command = request->argv[0];
    const char *path = env_value(env, "PATH");
    if (path == NULL)
        path = DEFAULT_PATH;
    for (int found; (found = path_next(&path, command, candidate, sizeof candidate)) != 0;) {
        if (found < 0 || is_absent(candidate))
            continue;
        execve(candidate, request->argv, env);
        if (errno == EACCES && !is_directory(candidate))
            memcpy(refused, candidate, sizeof refused);
        else if (errno == ENOENT && access(candidate, F_OK) == 0)
            return explain(candidate, ENOENT, failure);
        else if (errno != EACCES && !leads_nowhere(errno))
            return explain(candidate, errno, failure);
    }
    if (refused[0] != '\0')
        return explain(refused, EACCES, failure);
    return fail(failure, FAILURE_NOT_FOUND, "execve", ENOENT, "%.100s: not found in PATH", command);
}

bool program_run(const struct exec_request *request, const char *home, struct failure *failure)
{
    static char home_variable[5 + HOME_BYTES];
    size_t count = 0;
    while (request->env[count] != NULL)
        count++;
    if (env_value(request->env, "HOME") == NULL) {
        snprintf(home_variable, sizeof home_variable, "HOME=%s", home);
        /* The decoder leaves a slot behind the end of a vector, itself NULL. */
        request->env[count] = home_variable;
    }
    const char *command = request->argv[0];
    if (command[0] == '\0')
        return fail(failure, FAILURE_NOT_FOUND, "execve", ENOENT, "the command is an empty string");
    if (strchr(command, '/') == NULL)
        return search(request, request->env, failure);
    execve(command, request->argv, request->env);
    return explain(command, errno, failure);
}
