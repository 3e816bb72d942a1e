#include "path.h"

#include <string.h>

const char *env_value(char *const env[], const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; env[i] != NULL; i++)
        if (strncmp(env[i], name, length) == 0 && env[i][length] == '=')
            return env[i] + length + 1;
    return NULL;
}

/* An empty entry is the current directory, also at the end. */
int path_next(const char **path, const char *command, char *candidate, size_t capacity)
{
    if (*path == NULL)
        return 0;
    const char *entry = *path;
    size_t length = strcspn(entry, ":");
    size_t command_length = strlen(command);
    *path = entry[length] == ':' ? entry + length + 1 : NULL;
    if (length + command_length + 3 > capacity)
        return -1;
    if (length == 0)
        candidate[length++] = '.';
    else
        memcpy(candidate, entry, length);
    candidate[length++] = '/';
    memcpy(candidate + length, command, command_length + 1);
    return 1;
}
