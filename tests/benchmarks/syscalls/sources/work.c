/* One program that does a little of much: files, processes, threads, sockets, timers, signals, names, time.
   Compiled for several C libraries, linked dynamically, statically and as static PIE. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <locale.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <syslog.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

extern char **environ;
static volatile sig_atomic_t signals;
static void on_signal(int number) { signals += number; }

static void files(void) {
    char text[5000] = {0};
    int fd = open("work.tmp", O_CREAT | O_RDWR | O_TRUNC, 0600);
    FILE *stream;
    struct stat about;
    struct statvfs volume;
    struct iovec parts[2] = {{text, 10}, {text, 20}};
    if (write(fd, text, sizeof text) < 0 || pwrite(fd, "x", 1, 7) < 0 || pread(fd, text, 5, 0) < 0) perror("write");
    if (writev(fd, parts, 2) < 0 || ftruncate(fd, 4096) || fsync(fd) || fdatasync(fd)) perror("writev");
    lseek(fd, 0, SEEK_SET);
    if (readv(fd, parts, 2) < 0) perror("readv");
    flock(fd, LOCK_EX);
    flock(fd, LOCK_UN);
    posix_fallocate(fd, 0, 8192);
    fstat(fd, &about);
    stat("/nowhere", &about);
    lstat("work.tmp", &about);
    statvfs("/", &volume);
    void *memory = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    msync(memory, 4096, MS_SYNC);
    madvise(memory, 4096, MADV_DONTNEED);
    mprotect(memory, 4096, PROT_NONE);
    munmap(memory, 4096);
    dup2(fd, 50);
    close(50);
    close(fd);
    chmod("work.tmp", 0644);
    if (chown("work.tmp", getuid(), getgid()) || rename("work.tmp", "work.new") || symlink("x", "work.link")) perror("names");
    if (readlink("work.link", text, sizeof text) < 0 || access("work.new", R_OK) || mkdir("work.dir", 0700)) perror("names");
    unlink("work.link");
    rmdir("work.dir");
    if ((stream = fopen("work.new", "a+"))) {
        setvbuf(stream, NULL, _IOFBF, 100);
        fprintf(stream, "%s %g\n", "hello", 1.5);
        rewind(stream);
        if (fgets(text, sizeof text, stream)) fputs(text, stdout);
        fclose(stream);
    }
    glob_t found;
    if (!glob("work*", 0, NULL, &found)) globfree(&found);
    struct dirent **names;
    int count = scandir(".", &names, NULL, alphasort);
    while (count > 0) free(names[--count]);
    utimensat(AT_FDCWD, "work.new", NULL, 0);
    remove("work.new");
    if ((stream = tmpfile())) fclose(stream);
    if (getcwd(text, sizeof text)) puts(text);
}

static void *thread(void *lock) {
    pthread_mutex_lock(lock);
    usleep(1000);
    pthread_mutex_unlock(lock);
    return malloc(200000);
}

static void threads(void) {
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_t all[4];
    void *memory;
    for (int i = 0; i < 4; i++) pthread_create(&all[i], NULL, thread, &lock);
    for (int i = 0; i < 4; i++) pthread_join(all[i], &memory), free(memory);
    pthread_create(&all[0], NULL, thread, &lock);
    pthread_cancel(all[0]);
    pthread_join(all[0], &memory);
    sem_t waiting;
    struct timespec soon;
    clock_gettime(CLOCK_REALTIME, &soon);
    soon.tv_nsec = (soon.tv_nsec + 1000000) % 1000000000;
    sem_init(&waiting, 0, 0);
    sem_timedwait(&waiting, &soon);
    cpu_set_t processors;
    sched_getaffinity(0, sizeof processors, &processors);
    sched_yield();
}

static void processes(void) {
    int status, pipes[2];
    char *arguments[] = {"true", NULL};
    pid_t child = fork();
    if (child == 0) _exit(3);
    waitpid(child, &status, 0);
    if (!posix_spawn(&child, "/bin/true", NULL, NULL, arguments, environ)) waitpid(child, &status, 0);
    if (system("true")) perror("system");
    FILE *out = popen("echo hi", "r");
    if (out) pclose(out);
    if (pipe2(pipes, O_CLOEXEC)) perror("pipe2");
    if ((child = fork()) == 0) {
        setsid();
        execl("/nonexistent", "x", (char *)NULL);
        raise(SIGTERM);
    }
    wait4(child, &status, 0, NULL);
    kill(getpid(), SIGUSR1);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    setrlimit(RLIMIT_NOFILE, &limit);
    setpriority(PRIO_PROCESS, 0, 1);
    umask(022);
    struct utsname machine;
    uname(&machine);
    if (setgid(getgid()) || setuid(getuid()) || setgroups(0, NULL)) perror("identity");
}

static void sockets(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int pair[2], on = 1, server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), client = socket(AF_INET, SOCK_STREAM, 0);
    char text[100] = "hello";
    setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(server, (struct sockaddr *)&address, size) || listen(server, 5)) perror("listen");
    getsockname(server, (struct sockaddr *)&address, &size);
    if (connect(client, (struct sockaddr *)&address, size)) perror("connect");
    int accepted = accept4(server, NULL, NULL, SOCK_NONBLOCK);
    send(client, text, 5, MSG_NOSIGNAL);
    struct pollfd wanted = {accepted, POLLIN, 0};
    poll(&wanted, 1, 100);
    recv(accepted, text, sizeof text, 0);
    fd_set set;
    FD_ZERO(&set);
    FD_SET(accepted, &set);
    select(accepted + 1, &set, NULL, NULL, &(struct timeval){0, 1000});
    int epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN};
    epoll_ctl(epoll, EPOLL_CTL_ADD, accepted, &event);
    epoll_wait(epoll, &event, 1, 1);
    shutdown(client, SHUT_RDWR);
    close(client), close(accepted), close(server);
    socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
    struct iovec part = {text, 5};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    sendmsg(pair[0], &message, 0);
    recvmsg(pair[1], &message, 0);
    int file = open("/proc/self/status", O_RDONLY);
    sendfile(pair[0], file, NULL, 10);
    struct addrinfo *found, hints = {.ai_socktype = SOCK_STREAM};
    if (!getaddrinfo("localhost", "http", &hints, &found)) freeaddrinfo(found);
    if (!getaddrinfo("nowhere.test", "80", &hints, &found)) freeaddrinfo(found);
    getpwnam("root");
    getpwnam("nobodyhere");
    getgrgid(12345);
    openlog("work", LOG_PID, LOG_USER);
    syslog(LOG_INFO, "hello");
}

static void times(void) {
    struct itimerval soon = {{0, 0}, {0, 5000}};
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), event = eventfd(1, 0);
    struct itimerspec spec = {{0, 0}, {0, 1000000}};
    unsigned long long value;
    timerfd_settime(timer, 0, &spec, NULL);
    if (read(timer, &value, 8) < 0 || read(event, &value, 8) < 0) perror("read");
    setitimer(ITIMER_REAL, &soon, NULL);
    nanosleep(&(struct timespec){0, 20000000}, NULL);
    alarm(0);
    timer_t posix;
    struct sigevent how = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    if (!timer_create(CLOCK_MONOTONIC, &how, &posix)) timer_settime(posix, 0, &spec, NULL), timer_delete(posix);
    time_t now = time(NULL);
    char text[100];
    strftime(text, sizeof text, "%c", localtime(&now));
    puts(text);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    sigtimedwait(&set, NULL, &(struct timespec){0, 1000});
    signalfd(-1, &set, 0);
    clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){0, 1000}, NULL);
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
}

int main(int count, char **arguments) {
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGALRM, &action, NULL);
    setlocale(LC_ALL, "");
    if (count > 1 && !strcmp(arguments[1], "errors")) abort();
    if (count > 1 && !strcmp(arguments[1], "serve")) {
        while (!signals) pause();
        sleep(30);
    }
    files(), threads(), processes(), times(), sockets(count > 1 ? atoi(arguments[1]) : 0);
    syscall(SYS_getrandom, &signals, 4, 0);
    struct termios terminal;
    if (isatty(0)) tcgetattr(0, &terminal);
    void *large = malloc(1 << 22);
    large = realloc(large, 1 << 23);
    free(large);
    return 0;
}
