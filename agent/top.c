#include "top.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cbor.h"
#include "container.h"
#include "failure.h"
#include "port.h"
#include "requests.h"

#define MAX_PROCESSES 512
#define COMMAND_BYTES 256
/* Keys and numbers of an entry take less than 128 bytes. */
#define ANSWER_BYTES (MAX_PROCESSES * (COMMAND_BYTES + 128))

struct process {
    int pid;
    int ppid;
    uid_t uid;
    char state[2];
    long long rss_pages;
    unsigned long long ticks;
    char command[COMMAND_BYTES];
    size_t command_length;
};

static uint8_t answer[ANSWER_BYTES];

/* Field 2, the name, may hold anything, also ") "; the others begin behind its last parenthesis. */
static bool read_stat(int directory, struct process *process)
{
    char text[1024];
    unsigned long long user, system;
    if (read_file_at(directory, "stat", text, sizeof text) <= 0)
        return false;
    const char *open = strchr(text, '('), *close = strrchr(text, ')');
    if (open == NULL || close == NULL || close < open)
        return false;
    if (sscanf(close + 1, " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d %*d %*u %*u %lld",
               process->state, &process->ppid, &user, &system, &process->rss_pages)
        != 5)
        return false;
    process->ticks = user + system;
    process->command_length = (size_t)(close - open - 1);
    memcpy(process->command, open + 1, process->command_length);
    return true;
}

/* A process without arguments, a zombie or one that erased them, keeps the name from its stat. */
static void read_command(int directory, struct process *process)
{
    char text[COMMAND_BYTES];
    ssize_t length = read_file_at(directory, "cmdline", text, sizeof text);
    if (length <= 0)
        return;
    while (length > 1 && text[length - 1] == '\0')
        length--;
    for (ssize_t i = 0; i < length; i++)
        process->command[i] = text[i];
    for (ssize_t i = 0; i < length; i++)
        if (process->command[i] == '\0')
            process->command[i] = ' ';
    process->command_length = (size_t)length;
}

static bool read_process(int processes, const char *name, struct process *process)
{
    struct stat status;
    char *end;
    long pid = strtol(name, &end, 10);
    if (*end != '\0' || pid <= 0)
        return false;
    int directory = openat(processes, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return false;
    *process = (struct process){.pid = (int)pid};
    bool found = fstat(directory, &status) == 0 && read_stat(directory, process);
    if (found)
        read_command(directory, process);
    process->uid = status.st_uid;
    close(directory);
    return found;
}

static void put_process(struct cbor_out *out, const struct process *process)
{
    cbor_put_map(out, 7);
    cbor_put_text(out, "pid");
    cbor_put_integer(out, process->pid);
    cbor_put_text(out, "ppid");
    cbor_put_integer(out, process->ppid);
    cbor_put_text(out, "user");
    cbor_put_integer(out, process->uid);
    cbor_put_text(out, "state");
    cbor_put_text(out, process->state);
    cbor_put_text(out, "rssKib");
    cbor_put_integer(out, process->rss_pages * (sysconf(_SC_PAGESIZE) / 1024));
    cbor_put_text(out, "cpuMs");
    cbor_put_integer(out, (int64_t)(process->ticks * 1000 / (unsigned long)sysconf(_SC_CLK_TCK)));
    cbor_put_text(out, "command");
    cbor_put_foreign_text(out, process->command, process->command_length);
}

/* Processes come and go meanwhile, so they are counted as they are written and the head goes in front afterwards. */
static size_t put_processes(struct cbor_out *out, DIR *entries)
{
    struct process process;
    size_t count = 0;
    for (struct dirent *entry; count < MAX_PROCESSES && (entry = readdir(entries)) != NULL;)
        if (read_process(dirfd(entries), entry->d_name, &process)) {
            put_process(out, &process);
            count++;
        }
    return count;
}

void top_answer(uint32_t stream)
{
    struct failure failure;
    int fd = openat(container_processes(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    if (entries == NULL) {
        fail(&failure, FAILURE_OTHER, "opendir", errno, "cannot list the processes");
        if (fd >= 0)
            close(fd);
        request_answer_failure(stream, &failure);
        return;
    }
    /* {"processes": [ takes 14 bytes with the longest count there can be. */
    const size_t head_bytes = 14;
    struct cbor_out body = {.bytes = answer + head_bytes, .capacity = sizeof answer - head_bytes};
    size_t count = put_processes(&body, entries);
    closedir(entries);

    uint8_t head[16];
    struct cbor_out out = {.bytes = head, .capacity = sizeof head};
    cbor_put_map(&out, 1);
    cbor_put_text(&out, "processes");
    cbor_put_array(&out, count);
    uint8_t *start = answer + head_bytes - out.length;
    memcpy(start, head, out.length);
    port_send(FRAME_RESPONSE, stream, 0, start, out.length + body.length);
}
