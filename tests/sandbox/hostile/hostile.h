/* What the hostile program's files share: a table of attempts, and where their targets are. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct attempt {
    const char *surface, *name;
    int (*run)(void); /* 1: it got what it wanted; 0: it did not, and errno says how it was refused */
};


/* The value of NAME=VALUE on the command line; "" where it was not given. */
const char *given(const char *name);
int number(const char *name);

/* 1 unless the kernel or the supervisor refused the call: any other error means that somebody looked at its arguments. */
static inline int reached(long result) {
    return result >= 0 || !(errno == EPERM || errno == ENOSYS || errno == EACCES || errno == ENOENT);
}

/* Begins the function of an attempt, and enters it in the list of all (a section, which the linker puts together). */
#define ATTEMPT(identifier) \
    static int identifier(void); \
    static const struct attempt attempt_##identifier \
        __attribute__((section("attempts"), used, aligned(8))) = {SURFACE, #identifier, identifier}; \
    static int identifier(void)
