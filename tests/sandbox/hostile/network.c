/* Ways out, and ways to ports that were not granted. */
#define SURFACE "network"
#include "hostile.h"
#include <arpa/inet.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/un.h>
#include <sys/ioctl.h>
#include <net/if.h>
#include <linux/vm_sockets.h>
#include <sys/uio.h>
#include <netdb.h>

static struct sockaddr_in v4(const char *host, int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, host, &address.sin_addr);
    return address;
}

static struct sockaddr_in6 v6(const char *host, int port) {
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    inet_pton(AF_INET6, host, &address.sin6_addr);
    return address;
}

static int talks(int family, int type, int protocol, const void *address, socklen_t size) {
    int s = socket(family, type, protocol);
    if (s < 0) return 0;
    int got = connect(s, address, size) == 0 && write(s, "x", 1) == 1;
    int error = errno;
    close(s);
    errno = error;
    return got;
}

#define CONNECTS(identifier, family, type, protocol, address) \
    ATTEMPT(identifier) { __auto_type to = address; return talks(family, type, protocol, &to, sizeof to); }

CONNECTS(tcp_loopback, AF_INET, SOCK_STREAM, 0, v4("127.0.0.1", number("tcp")))
CONNECTS(tcp_loopback_v6, AF_INET6, SOCK_STREAM, 0, v6("::1", number("tcp6")))
CONNECTS(tcp_mapped, AF_INET6, SOCK_STREAM, 0, v6("::ffff:127.0.0.1", number("tcp")))
CONNECTS(tcp_own_address, AF_INET, SOCK_STREAM, 0, v4(given("own"), number("any")))
CONNECTS(tcp_any, AF_INET, SOCK_STREAM, 0, v4("0.0.0.0", number("tcp")))
CONNECTS(tcp_metadata, AF_INET, SOCK_STREAM, 0, v4("169.254.169.254", 80))
CONNECTS(tcp_mptcp, AF_INET, SOCK_STREAM, 262, v4("127.0.0.1", number("tcp")))
CONNECTS(tcp_smc, 43, SOCK_STREAM, 0, v4("127.0.0.1", number("tcp")))
CONNECTS(udp_loopback, AF_INET, SOCK_DGRAM, 0, v4("127.0.0.1", number("udp")))
CONNECTS(udp_loopback_v6, AF_INET6, SOCK_DGRAM, 0, v6("::1", number("udp")))
CONNECTS(udp_dns, AF_INET, SOCK_DGRAM, IPPROTO_UDP, v4("8.8.8.8", 53))
CONNECTS(udp_closing, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0, v4("127.0.0.1", number("udp")))
CONNECTS(udplite, AF_INET, SOCK_DGRAM, 136, v4("127.0.0.1", number("udp")))
CONNECTS(sctp, AF_INET, SOCK_STREAM, 132, v4("127.0.0.1", number("tcp")))
CONNECTS(dccp, AF_INET, 6, 33, v4("127.0.0.1", number("tcp")))
CONNECTS(ping, AF_INET, SOCK_DGRAM, 1, v4("127.0.0.1", 0))
CONNECTS(raw, AF_INET, SOCK_RAW, 1, v4("127.0.0.1", 0))

static int through_unix(int type, const char *name, int abstract) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    strncpy(to.sun_path + abstract, name, sizeof to.sun_path - 2);
    return talks(AF_UNIX, type, 0, &to, offsetof(struct sockaddr_un, sun_path) + abstract + strlen(name));
}

ATTEMPT(unix_path) { return through_unix(SOCK_STREAM, given("socket"), 0); }
ATTEMPT(unix_abstract) { return through_unix(SOCK_STREAM, given("abstract"), 1); }
ATTEMPT(unix_datagram) { return through_unix(SOCK_DGRAM, given("datagrams"), 1); }
ATTEMPT(unix_bind) {
    struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = "\0binsafe-bound"};
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    return s >= 0 && bind(s, (void *)&to, sizeof to) == 0;
}
ATTEMPT(pair_of_datagrams) { /* a socket that can be sent from to any other that it can name */
    int pair[2];
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    strncpy(to.sun_path + 1, given("datagrams"), sizeof to.sun_path - 2);
    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair)) return 0;
    return sendto(pair[0], "x", 1, 0, (void *)&to, offsetof(struct sockaddr_un, sun_path) + 1 + strlen(given("datagrams"))) == 1;
}

#define OPENS(identifier, family, type, protocol) \
    ATTEMPT(identifier) { return socket(family, type, protocol) >= 0; }
OPENS(netlink_route, AF_NETLINK, SOCK_RAW, 0)
OPENS(netlink_closing, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0)
OPENS(netlink_diag, AF_NETLINK, SOCK_DGRAM, 4)
OPENS(netlink_events, AF_NETLINK, SOCK_DGRAM, 15)
OPENS(netlink_audit, AF_NETLINK, SOCK_RAW, 9)
OPENS(packet, AF_PACKET, SOCK_RAW, 0x0300)
OPENS(packet_cooked, AF_PACKET, SOCK_DGRAM, 0x0300)
OPENS(vsock, 40, SOCK_STREAM, 0)
OPENS(bluetooth, 31, SOCK_RAW, 1)
OPENS(can, 29, SOCK_RAW, 1)
OPENS(crypto, 38, 5, 0)
OPENS(tipc, 30, SOCK_STREAM, 0)
OPENS(xdp, 44, SOCK_RAW, 0)
OPENS(rds, 21, 5, 0)
OPENS(kcm, 41, SOCK_DGRAM, 0)
OPENS(key, 15, SOCK_RAW, 2)
OPENS(x25, 9, 5, 0)
OPENS(qipcrtr, 42, SOCK_DGRAM, 0)
OPENS(raw_v6, AF_INET6, SOCK_RAW, 58)

static int bound(const char *host, int port, int listens) {
    int s = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = v4(host, port);
    if (s < 0 || (port >= 0 && bind(s, (void *)&address, sizeof address))) return -1;
    if (listens && listen(s, 8)) return -1;
    return s;
}
ATTEMPT(port_not_granted) { return bound("127.0.0.1", number("other"), 1) >= 0; }
ATTEMPT(port_not_granted_any) { return bound("0.0.0.0", number("other"), 1) >= 0; }
ATTEMPT(port_low) { return bound("127.0.0.1", 80, 1) >= 0; }
ATTEMPT(port_not_granted_v6) {
    int s = socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_in6 address = v6("::", number("other"));
    return s >= 0 && bind(s, (void *)&address, sizeof address) == 0;
}
ATTEMPT(port_taken_twice) { /* a granted port that another socket of ours has */
    return bound("127.0.0.1", number("granted"), 1) >= 0 && bound("127.0.0.1", number("granted"), 1) >= 0;
}
ATTEMPT(port_stolen) { /* a port of another program of the same user, which allows reuse */
    int s = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    struct sockaddr_in address = v4("127.0.0.1", number("reusable"));
    setsockopt(s, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    return bind(s, (void *)&address, sizeof address) == 0;
}
ATTEMPT(granted_port_elsewhere) { return bound(given("own"), number("granted"), 0) >= 0; }
ATTEMPT(listen_unbound) { /* harmless only where nobody outside can reach it: the harness looks for it */
    int s = bound("", -1, 1);
    struct sockaddr_in name;
    socklen_t size = sizeof name;
    return s >= 0 && getsockname(s, (void *)&name, &size) == 0 && number("shares-network");
}

static int listener(void) {
    static int s = -2;
    if (s == -2) s = bound("127.0.0.1", number("second"), 1);
    return s;
}
static int sends(int flags) {
    struct sockaddr_in to = v4("127.0.0.1", number("tcp"));
    int s = dup(listener());
    shutdown(s, SHUT_RDWR);
    int got = sendto(s, "x", 1, flags, (void *)&to, sizeof to) == 1;
    int error = errno;
    close(s);
    errno = error;
    return got;
}
ATTEMPT(fast_open) { return sends(0x20000000); }
ATTEMPT(send_to_address) { return sends(0); }
ATTEMPT(fast_open_message) {
    struct sockaddr_in to = v4("127.0.0.1", number("tcp"));
    struct iovec data = {.iov_base = "x", .iov_len = 1};
    struct msghdr message = {.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &data, .msg_iovlen = 1};
    return sendmsg(listener(), &message, 0x20000000) == 1;
}
ATTEMPT(message_to_address) {
    struct sockaddr_in to = v4("127.0.0.1", number("tcp"));
    struct iovec data = {.iov_base = "x", .iov_len = 1};
    struct msghdr message = {.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &data, .msg_iovlen = 1};
    return sendmsg(listener(), &message, 0) == 1;
}
ATTEMPT(fast_open_messages) {
    struct mmsghdr message = {{0}};
    return reached(syscall(SYS_sendmmsg, listener(), &message, 1, 0x20000000));
}
ATTEMPT(listener_connects) {
    struct sockaddr_in to = v4("127.0.0.1", number("tcp"));
    return connect(listener(), (void *)&to, sizeof to) == 0;
}
ATTEMPT(listener_disconnects) {
    struct sockaddr to = {.sa_family = AF_UNSPEC};
    return connect(listener(), &to, sizeof to) == 0;
}
static int set(int level, int option, const void *value, socklen_t size) {
    return setsockopt(listener(), level, option, value, size) == 0;
}
ATTEMPT(routing_header) {
    struct { uint8_t next, length, type, left; uint32_t reserved; struct in6_addr via; } header = {0, 2, 0, 1, 0, {{{0}}}};
    return set(IPPROTO_IPV6, 57, &header, sizeof header);
}
ATTEMPT(hop_options) { return set(IPPROTO_IPV6, 54, "\0\0\1\4\0\0\0\0", 8); }
ATTEMPT(destination_options) { return set(IPPROTO_IPV6, 59, "\0\0\1\4\0\0\0\0", 8); }
ATTEMPT(source_route) { return set(IPPROTO_IP, 4, "\203\7\4\177\0\0\1\0", 8); }
ATTEMPT(bind_to_device) { return set(SOL_SOCKET, 25, "lo", 3); }
ATTEMPT(mark) { return set(SOL_SOCKET, 36, &(int){1}, 4); }
ATTEMPT(attach_filter) { return set(SOL_SOCKET, 26, &(struct { unsigned short n; void *p; }){1, &(struct { uint16_t c; uint8_t t, f; uint32_t k; }){6, 0, 0, 0}}, 16); }
ATTEMPT(upper_protocol) { return set(IPPROTO_TCP, 31, "tls", 4); }
ATTEMPT(repair) { return set(IPPROTO_TCP, 19, &(int){1}, 4); }
ATTEMPT(fast_open_queue) { return set(IPPROTO_TCP, 23, &(int){5}, 4); }
ATTEMPT(congestion) { return set(IPPROTO_TCP, 13, "reno", 5); }
ATTEMPT(transparent) { return set(IPPROTO_IP, 19, &(int){1}, 4); }
ATTEMPT(multicast) { return set(IPPROTO_IP, 35, &(struct { uint32_t a, b; }){0x010000e0, 0}, 8); }
ATTEMPT(interfaces) { struct ifconf list = {0}; return ioctl(listener(), 0x8912, &list) == 0; }
ATTEMPT(hardware_address) { struct ifreq name = {.ifr_name = "lo"}; return ioctl(listener(), 0x8927, &name) == 0; }
ATTEMPT(interface_name) { struct ifreq name = {.ifr_ifindex = 1}; return ioctl(listener(), 0x8910, &name) == 0; }
ATTEMPT(network_namespace) { return ioctl(listener(), 0x894C, 0) >= 0; }
ATTEMPT(ring) { char parameters[120] = {0}; return reached(syscall(SYS_io_uring_setup, 4, parameters)); }

/* More addresses to bind, and a socket of the host before it listens. */
static int bound6(const char *host, int port) { int s = socket(AF_INET6, SOCK_STREAM, 0); struct sockaddr_in6 a = v6(host, port); return s >= 0 && bind(s, (void*)&a, sizeof a) == 0; }
static int bound4(const char *host, int port) { int s = socket(AF_INET, SOCK_STREAM, 0); struct sockaddr_in a = v4(host, port); return s >= 0 && bind(s, (void*)&a, sizeof a) == 0; }
ATTEMPT(port_zero) { return bound4("127.0.0.1", 0); }
ATTEMPT(port_zero_any) { return bound4("0.0.0.0", 0); }
ATTEMPT(port_zero_v6) { return bound6("::1", 0); }
ATTEMPT(port_mapped) { return bound6("::ffff:127.0.0.1", number("other")); }
ATTEMPT(port_mapped_any) { return bound6("::ffff:0.0.0.0", number("other")); }
ATTEMPT(port_loopback_two) { return bound4("127.0.0.2", number("granted")); }
ATTEMPT(port_broadcast) { return bound4("255.255.255.255", number("granted")); }
ATTEMPT(port_multicast) { return bound4("224.0.0.1", number("granted")); }
ATTEMPT(port_ssh) { return bound4("0.0.0.0", 22); }
ATTEMPT(bind_unspec) { int s = socket(AF_INET, SOCK_STREAM, 0); struct sockaddr_in a = v4("0.0.0.0", number("other")); a.sin_family = AF_UNSPEC; return bind(s, (void*)&a, sizeof a) == 0; }
ATTEMPT(bind_short) { int s = socket(AF_INET, SOCK_STREAM, 0); struct sockaddr_in a = v4("127.0.0.1", number("other")); return bind(s, (void*)&a, 8) == 0; }
ATTEMPT(bind_long) { int s = socket(AF_INET, SOCK_STREAM, 0); struct { struct sockaddr_in a; char r[200]; } a = {v4("127.0.0.1", number("other"))}; return bind(s, (void*)&a, sizeof a) == 0; }
ATTEMPT(unix_seqpacket) { return socket(AF_UNIX, SOCK_SEQPACKET, 0) >= 0; }
ATTEMPT(vsock_connect) { int s = socket(AF_VSOCK, SOCK_STREAM, 0); struct sockaddr_vm a = {.svm_family = AF_VSOCK, .svm_cid = 2, .svm_port = 1}; return s >= 0 && (connect(s, (void*)&a, sizeof a) == 0 || errno != EPERM); }
ATTEMPT(vsock_local) { return socket(AF_VSOCK, SOCK_DGRAM, 0) >= 0 || socket(AF_VSOCK, SOCK_SEQPACKET, 0) >= 0; }
ATTEMPT(dns_tcp) { int s = socket(AF_INET, SOCK_STREAM, 0); struct sockaddr_in a = v4("8.8.8.8", 53); return connect(s, (void*)&a, sizeof a) == 0; }
ATTEMPT(connect_granted) { int s = socket(AF_INET, SOCK_STREAM, 0); struct sockaddr_in a = v4("127.0.0.1", number("granted")); return connect(s, (void*)&a, sizeof a) == 0; }
ATTEMPT(connect_nonblock) { int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0); struct sockaddr_in a = v4("127.0.0.1", number("tcp")); return connect(s, (void*)&a, sizeof a) == 0 || errno == EINPROGRESS; }
ATTEMPT(connect_link_local) { int s = socket(AF_INET6, SOCK_STREAM, 0); struct sockaddr_in6 a = v6("fe80::1", number("tcp")); a.sin6_scope_id = 1; return connect(s, (void*)&a, sizeof a) == 0; }
ATTEMPT(connect_unspec_v6) { int s = socket(AF_INET6, SOCK_STREAM, 0); struct sockaddr_in6 a = v6("::", number("tcp6")); return connect(s, (void*)&a, sizeof a) == 0; }
static int grafted(void) { static int s = -2; if (s == -2) { s = socket(AF_INET, SOCK_STREAM, 0); int one = 1; setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, 4); struct sockaddr_in a = v4("127.0.0.1", number("second")); if (bind(s, (void*)&a, sizeof a)) s = -1; } return s; }
ATTEMPT(grafted_connects) { struct sockaddr_in a = v4("127.0.0.1", number("tcp")); return connect(grafted(), (void*)&a, sizeof a) == 0; }
ATTEMPT(grafted_sends) { struct sockaddr_in a = v4("127.0.0.1", number("tcp")); return sendto(grafted(), "x", 1, MSG_NOSIGNAL, (void*)&a, sizeof a) == 1; }
ATTEMPT(grafted_fastopen_sendto) { struct sockaddr_in a = v4("127.0.0.1", number("tcp")); return sendto(grafted(), "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL, (void*)&a, sizeof a) >= 0; }
ATTEMPT(grafted_fastopen_high_bits) { struct sockaddr_in a = v4("127.0.0.1", number("tcp")); return syscall(SYS_sendto, grafted(), "x", 1, 0x100000000L | MSG_FASTOPEN, &a, sizeof a) >= 0; }
ATTEMPT(grafted_fastopen_connect_option) { int one = 1; return setsockopt(grafted(), IPPROTO_TCP, 30, &one, 4) == 0; }
ATTEMPT(grafted_fastopen_key) { char k[16] = {0}; return setsockopt(grafted(), IPPROTO_TCP, 33, k, 16) == 0; }
ATTEMPT(grafted_rebind) { struct sockaddr_in a = v4("127.0.0.1", number("granted")); return bind(grafted(), (void*)&a, sizeof a) == 0; }
ATTEMPT(grafted_level_high_bits) { int v = 1; return syscall(SYS_setsockopt, grafted(), 0x100000000L | SOL_SOCKET, SO_MARK, &v, 4) == 0; }
static int opt(int l, int o) { char v[256]; socklen_t n = sizeof v; return getsockopt(grafted(), l, o, v, &n) == 0; }
ATTEMPT(get_cookie) { return opt(SOL_SOCKET, 57); }
ATTEMPT(get_netns_cookie) { return opt(SOL_SOCKET, 71); }
ATTEMPT(get_peersec) { return opt(SOL_SOCKET, 31); }
ATTEMPT(get_peergroups) { return opt(SOL_SOCKET, 59); }
ATTEMPT(get_peerpidfd) { return opt(SOL_SOCKET, 77); }
ATTEMPT(get_bindtodevice) { return opt(SOL_SOCKET, 25); }
ATTEMPT(get_mark) { return opt(SOL_SOCKET, 36); }
ATTEMPT(get_tcp_info) { return opt(IPPROTO_TCP, 11); }
ATTEMPT(get_congestion) { return opt(IPPROTO_TCP, 13); }
ATTEMPT(get_zerocopy_receive) { return opt(IPPROTO_TCP, 35); }
ATTEMPT(get_saved_syn) { return opt(IPPROTO_TCP, 28); }
ATTEMPT(get_ip_mtu) { return opt(IPPROTO_IP, 14); }
ATTEMPT(get_ip_options) { return opt(IPPROTO_IP, 4); }
ATTEMPT(get_iptables) { return opt(IPPROTO_IP, 64); }
ATTEMPT(get_ip6tables) { return opt(IPPROTO_IPV6, 64); }
ATTEMPT(get_original_destination) { return opt(IPPROTO_IP, 80); }
ATTEMPT(get_meminfo) { return opt(SOL_SOCKET, 55); }
ATTEMPT(set_iptables) { return setsockopt(grafted(), IPPROTO_IP, 64, "", 0) == 0; }
ATTEMPT(set_reuseport_cbpf) { struct { unsigned short n; void *p; } f = {1, &(struct { uint16_t c; uint8_t t, f; uint32_t k; }){6, 0, 0, 0}}; return setsockopt(grafted(), SOL_SOCKET, 51, &f, 16) == 0; }
ATTEMPT(set_bindtoifindex) { int v = 1; return setsockopt(grafted(), SOL_SOCKET, 62, &v, 4) == 0; }
ATTEMPT(set_timestamping) { int v = 1; return setsockopt(grafted(), SOL_SOCKET, 37, &v, 4) == 0; }
ATTEMPT(set_passcred) { int v = 1; return setsockopt(grafted(), SOL_SOCKET, 16, &v, 4) == 0; }
ATTEMPT(set_busy_poll) { int v = 1; return setsockopt(grafted(), SOL_SOCKET, 46, &v, 4) == 0; }
ATTEMPT(set_addrform) { int v = AF_INET; return setsockopt(grafted(), IPPROTO_IPV6, 1, &v, 4) == 0; }
ATTEMPT(set_tos) { int v = 8; return setsockopt(grafted(), IPPROTO_IP, 1, &v, 4) == 0; }
ATTEMPT(set_ttl) { int v = 8; return setsockopt(grafted(), IPPROTO_IP, 2, &v, 4) == 0; }
ATTEMPT(set_pktinfo) { int v = 1; return setsockopt(grafted(), IPPROTO_IP, 8, &v, 4) == 0; }
ATTEMPT(set_retopts) { int v = 1; return setsockopt(grafted(), IPPROTO_IP, 7, &v, 4) == 0; }
ATTEMPT(set_membership) { struct ip_mreq m = {0}; inet_pton(AF_INET, "224.0.0.251", &m.imr_multiaddr); return setsockopt(grafted(), IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof m) == 0; }
ATTEMPT(set_ipv6_membership) { struct ipv6_mreq m = {0}; return setsockopt(grafted(), IPPROTO_IPV6, 20, &m, sizeof m) == 0; }
ATTEMPT(set_maxseg) { int v = 500; return setsockopt(grafted(), IPPROTO_TCP, 2, &v, 4) == 0; }
ATTEMPT(set_window_clamp) { int v = 500; return setsockopt(grafted(), IPPROTO_TCP, 10, &v, 4) == 0; }
ATTEMPT(set_save_syn) { int v = 1; return setsockopt(grafted(), IPPROTO_TCP, 27, &v, 4) == 0; }
ATTEMPT(set_ao_key) { char k[300] = {0}; return setsockopt(grafted(), IPPROTO_TCP, 38, k, 300) == 0; }
ATTEMPT(set_mptcp_level) { int v = 1; return setsockopt(grafted(), 284, 1, &v, 4) == 0; }
static int io(long c) { char b[256] = {0}; strcpy(b, "lo"); return ioctl(grafted(), c, b) >= 0; }
ATTEMPT(io_addr) { return io(0x8915); }
ATTEMPT(io_flags) { return io(0x8913); }
ATTEMPT(io_index) { return io(0x8933); }
ATTEMPT(io_arp) { return io(0x8954); }
ATTEMPT(io_route) { return io(0x890B); }
ATTEMPT(io_mtu) { return io(0x8921); }
ATTEMPT(io_stamp) { return io(0x8906); }
ATTEMPT(io_outq) { return io(0x5411); }
ATTEMPT(io_at_mark) { return io(0x8905); }
ATTEMPT(io_bridge) { return io(0x8940); }
ATTEMPT(io_wireless) { return io(0x8B01); }
ATTEMPT(udp_connected_six) { return socket(AF_INET6, SOCK_DGRAM, 17) >= 0; }
ATTEMPT(socket_type_high_bits) { return syscall(SYS_socket, 2, 0x100000000L | 2, 0) >= 0; }
ATTEMPT(socket_type_packet) { return socket(AF_INET, 10, htons(3)) >= 0; }
ATTEMPT(socket_family_high_bits) { return syscall(SYS_socket, 0x100000000L | 40, 1, 0) >= 0; }
ATTEMPT(socket_mctp) { return socket(45, 2, 0) >= 0; }
ATTEMPT(socket_unspec) { return socket(0, 1, 0) >= 0; }
ATTEMPT(raw_tcp) { return socket(AF_INET, SOCK_RAW, IPPROTO_TCP) >= 0; }
ATTEMPT(igmp) { return socket(AF_INET, SOCK_RAW, 2) >= 0; }
ATTEMPT(l2tp) { return socket(AF_INET, SOCK_DGRAM, 115) >= 0; }
ATTEMPT(generic_netlink) { return socket(AF_NETLINK, SOCK_RAW, 16) >= 0; }
ATTEMPT(sock_diag) { return socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, 4) >= 0; }
ATTEMPT(recvfrom_unbound) { char b; struct sockaddr_in a; socklen_t n = sizeof a; return recvfrom(grafted(), &b, 1, MSG_DONTWAIT, (void*)&a, &n) >= 0; }
