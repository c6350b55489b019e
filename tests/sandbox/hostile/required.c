/* What an ordinary server does, and must be able to do. */
#define SURFACE "required"
#include "hostile.h"
#include <netinet/in.h>
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/signalfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

static void *add(void *count) { __atomic_add_fetch((int *)count, 1, __ATOMIC_SEQ_CST); return 0; }
ATTEMPT(threads) {
    pthread_t all[32];
    int count = 0;
    for (int i = 0; i < 32; i++) if (pthread_create(&all[i], 0, add, &count)) return 0;
    for (int i = 0; i < 32; i++) pthread_join(all[i], 0);
    return count == 32;
}
static volatile sig_atomic_t caught;
static void catch(int number) { caught = number; }
ATTEMPT(signal_to_itself) { signal(SIGUSR1, catch); raise(SIGUSR1); return caught == SIGUSR1; }
ATTEMPT(signal_by_its_number) { signal(SIGUSR1, catch); caught = 0; return kill(getpid(), SIGUSR1) == 0 && caught == SIGUSR1; }
ATTEMPT(signal_to_a_thread) { signal(SIGUSR2, catch); pthread_kill(pthread_self(), SIGUSR2); return caught == SIGUSR2; }
ATTEMPT(alarm_clock) { signal(SIGALRM, catch); ualarm(1000, 0); usleep(200000); return caught == SIGALRM; }
ATTEMPT(timer) {
    struct sigevent how = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    struct itimerspec when = {.it_value.tv_nsec = 1000000};
    timer_t timer;
    caught = 0;
    signal(SIGUSR1, catch);
    if (timer_create(CLOCK_MONOTONIC, &how, &timer) || timer_settime(timer, 0, &when, 0)) return 0;
    usleep(200000);
    return caught == SIGUSR1;
}
ATTEMPT(timer_descriptor) {
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    struct itimerspec when = {.it_value.tv_nsec = 1000000};
    uint64_t count;
    return timer >= 0 && timerfd_settime(timer, 0, &when, 0) == 0 && read(timer, &count, 8) == 8;
}
ATTEMPT(clocks) { struct timespec now; struct timeval day; return clock_gettime(CLOCK_REALTIME, &now) == 0 && now.tv_sec > 1700000000 && clock_gettime(CLOCK_MONOTONIC, &now) == 0 && gettimeofday(&day, 0) == 0; }
ATTEMPT(sleep_a_little) { struct timespec little = {0, 1000000}; return nanosleep(&little, 0) == 0; }
ATTEMPT(random_numbers) { char bytes[32]; return getrandom(bytes, 32, 0) == 32; }
ATTEMPT(random_device) { char bytes[32]; int file = open("/dev/urandom", O_RDONLY); return file >= 0 && read(file, bytes, 32) == 32; }
ATTEMPT(null_device) { int file = open("/dev/null", O_WRONLY); return file >= 0 && write(file, "x", 1) == 1; }
ATTEMPT(memory) { char *memory = mmap(0, 64 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); if (memory == MAP_FAILED) return 0; memset(memory, 1, 64 << 20); return munmap(memory, 64 << 20) == 0; }
ATTEMPT(memory_grown) { char *memory = malloc(100000); memory = realloc(memory, 50 << 20); int got = memory != 0; free(memory); return got; }
ATTEMPT(output) { return write(1, "", 0) == 0 && write(2, "", 0) == 0; }
ATTEMPT(own_name) { return getpid() > 0 && getppid() >= 0 && getuid() != 0; }
ATTEMPT(processors) { cpu_set_t set; return sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0; }
ATTEMPT(usage) { struct rusage usage; return getrusage(RUSAGE_SELF, &usage) == 0; }
ATTEMPT(limits) { struct rlimit limit; return getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= 256; }
ATTEMPT(pipe_and_poll) { int ends[2]; if (pipe(ends)) return 0; struct pollfd wait = {ends[0], POLLIN, 0}; return write(ends[1], "x", 1) == 1 && poll(&wait, 1, 1000) == 1; }
ATTEMPT(event) { uint64_t one = 1; int event = eventfd(0, 0); return event >= 0 && write(event, &one, 8) == 8 && read(event, &one, 8) == 8; }
ATTEMPT(working_folder) { char path[256]; return getcwd(path, sizeof path) != 0; }
ATTEMPT(temporary_file) {
    char path[4096], byte;
    snprintf(path, sizeof path, "%s/fileXXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    int file = mkstemp(path);
    return file >= 0 && write(file, "x", 1) == 1 && lseek(file, 0, 0) == 0 && read(file, &byte, 1) == 1 && unlink(path) == 0;
}

ATTEMPT(how_it_is_held) { /* no_new_privs, a filter, no securebits, no ambient capability: it may ask, and hears so */
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 && prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 2 &&
           prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0) == 0 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, 0, 0, 0) == 0;
}

static int ports[64], count;
static int waiting = -1;
ATTEMPT(all_ports) {
    char list[1024];
    strncpy(list, given("ports"), sizeof list - 1);
    waiting = epoll_create1(EPOLL_CLOEXEC);
    for (char *word = strtok(list, ","); word; word = strtok(0, ",")) {
        int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(word)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        struct epoll_event event = {.events = EPOLLIN, .data.fd = s};
        if (setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) || bind(s, (void *)&address, sizeof address) || listen(s, 128)) return 0;
        if (epoll_ctl(waiting, EPOLL_CTL_ADD, s, &event)) return 0;
        ports[count++] = s;
    }
    return count > 0;
}
static void *serve(void *unused) {
    (void)unused;
    struct epoll_event events[16];
    for (;;) {
        int ready = epoll_wait(waiting, events, 16, -1);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd, is_listener = 0;
            for (int j = 0; j < count; j++) is_listener |= ports[j] == fd;
            if (is_listener) {
                int client = accept4(fd, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC), one = 1;
                struct epoll_event event = {.events = EPOLLIN, .data.fd = client};
                if (client >= 0) { setsockopt(client, IPPROTO_TCP, 1, &one, sizeof one); epoll_ctl(waiting, EPOLL_CTL_ADD, client, &event); }
            } else {
                char request[4096];
                ssize_t size = recv(fd, request, sizeof request, 0);
                if (size <= 0) { close(fd); continue; }
                static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                if (send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL) < 0) close(fd);
            }
        }
    }
    return 0;
}
ATTEMPT(served_on_all_ports) { pthread_t server; return pthread_create(&server, 0, serve, 0) == 0; }
