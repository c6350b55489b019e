/* A server on many ports that also tries what a sandboxed program must not be able to do, and does what it must.

   hostile [NAME=VALUE]... SURFACE|ATTEMPT...

   One line of JSON for each attempt: {"number": ..., "attempt": ..., "done": true|false, "errno": ...}. With "stay" it
   then waits. */
#include "hostile.h"
#include <signal.h>

static char **words;

const char *given(const char *name) {
    size_t length = strlen(name);
    for (char **word = words; *word; word++)
        if (!strncmp(*word, name, length) && (*word)[length] == '=')
            return *word + length + 1;
    return "";
}

int number(const char *name) { return atoi(given(name)); }

extern const struct attempt __start_attempts[], __stop_attempts[];

/* Announced by a call that is always denied and reported, so that what is reported next is known to be the attempt's. */
static void try(const struct attempt *attempt) {
    syscall(SYS_prctl, 0x7F000000 + (int)(attempt - __start_attempts));
    errno = 0;
    int done = attempt->run();
    int number = done ? 0 : errno;
    printf("{\"number\": %d, \"attempt\": \"%s\", \"done\": %s, \"errno\": %d}\n", (int)(attempt - __start_attempts),
           attempt->name, done ? "true" : "false", number);
    fflush(stdout);
}

int main(int count, char **arguments) {
    words = arguments + 1;
    signal(SIGPIPE, SIG_IGN);
    for (int i = 1; i < count; i++)
        for (const struct attempt *each = __start_attempts; each < __stop_attempts; each++)
            if (!strcmp(arguments[i], each->surface) || !strcmp(arguments[i], each->name))
                try(each);
    if (count > 1 && !strcmp(arguments[count - 1], "stay"))
        for (;;)
            pause();
    return 0;
}
