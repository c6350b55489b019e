// Answers HTTP as C servers do it: server HOST PORT [single|prefork|reuseport|epoll]
#define _GNU_SOURCE
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int must(int result, const char *what) {
    if (result < 0) {
        perror(what);
        exit(1);
    }
    return result;
}

static struct addrinfo *address(const char *host, const char *port) {
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    int error = getaddrinfo(host, port, &hints, &found);
    if (error != 0) {
        fprintf(stderr, "%s: %s\n", host, gai_strerror(error));
        exit(1);
    }
    return found;
}

static int new_socket(const struct addrinfo *at, int reuseport) {
    int on = 1, fd = must(socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    must(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), "SO_REUSEADDR");
    if (reuseport)
        must(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on), "SO_REUSEPORT");
    return fd;
}

static void open_for_all(int fd, const struct addrinfo *at) {
    must(bind(fd, at->ai_addr, at->ai_addrlen), "bind");
    must(listen(fd, 64), "listen");
}

static void answer(int fd) {
    static const char text[] = "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    char request[4096];
    if (read(fd, request, sizeof request) > 0 && send(fd, text, sizeof text - 1, MSG_NOSIGNAL) < 0)
        perror("send");
    close(fd);
}

static void serve(int fd) {
    for (;;)
        answer(must(accept(fd, NULL, NULL), "accept"));
}

static void serve_by_epoll(const struct addrinfo *at) {  // registered before bind, as some event loops do
    int fd = new_socket(at, 0), loop = must(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    must(epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
    open_for_all(fd, at);
    for (;;)
        if (must(epoll_wait(loop, &event, 1, -1), "epoll_wait") == 1 && event.events & EPOLLIN)
            answer(must(accept4(event.data.fd, NULL, NULL, SOCK_CLOEXEC), "accept4"));
}

int main(int count, char **arguments) {
    if (count < 3)
        return 2;
    const char *mode = count > 3 ? arguments[3] : "single";
    struct addrinfo *at = address(arguments[1], arguments[2]);
    if (strcmp(mode, "epoll") == 0)
        serve_by_epoll(at);
    int each = strcmp(mode, "reuseport") == 0, workers = strcmp(mode, "single") != 0 ? 2 : 0;
    int fd = -1;
    if (!each)
        open_for_all(fd = new_socket(at, 0), at);
    for (int worker = 0; worker < workers; worker++)
        if (must(fork(), "fork") == 0) {
            if (each)
                open_for_all(fd = new_socket(at, 1), at);
            serve(fd);
        }
    if (workers == 0)
        serve(fd);
    int status;
    must(wait(&status), "wait");
    fprintf(stderr, "a worker ended: %d\n", status);
    return 1;
}
