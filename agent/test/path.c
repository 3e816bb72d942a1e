#include "path.h"

#include "check.h"

static void candidates_come_in_order(void)
{
    const char *path = "/bin::/usr/bin:";
    char candidate[32];
    CHECK(path_next(&path, "ls", candidate, sizeof candidate) == 1 && strcmp(candidate, "/bin/ls") == 0);
    CHECK(path_next(&path, "ls", candidate, sizeof candidate) == 1 && strcmp(candidate, "./ls") == 0);
    CHECK(path_next(&path, "ls", candidate, sizeof candidate) == 1 && strcmp(candidate, "/usr/bin/ls") == 0);
    CHECK(path_next(&path, "ls", candidate, sizeof candidate) == 1 && strcmp(candidate, "./ls") == 0);
    CHECK(path_next(&path, "ls", candidate, sizeof candidate) == 0);
}

static void a_candidate_too_long_is_passed_over(void)
{
    const char *path = "/a/very/long/directory:/b";
    char candidate[8];
    CHECK(path_next(&path, "ls", candidate, sizeof candidate) == -1);
    CHECK(path_next(&path, "ls", candidate, sizeof candidate) == 1 && strcmp(candidate, "/b/ls") == 0);
}

static void a_variable_is_found_by_its_whole_name(void)
{
    char a[] = "PATHS=no", b[] = "PATH=", c[] = "PATH=second";
    char *const env[] = {a, b, c, NULL};
    CHECK(strcmp(env_value(env, "PATH"), "") == 0);
    CHECK(env_value(env, "HOME") == NULL);
}

int main(void)
{
    candidates_come_in_order();
    a_candidate_too_long_is_passed_over();
    a_variable_is_found_by_its_whole_name();
    return 0;
}
