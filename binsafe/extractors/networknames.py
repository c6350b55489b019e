"""Which names mean what on the network: functions of C libraries and Windows, of Go, and system calls.

One word stands for its operation wherever it is met, so a name must not mean anything else: ``read`` and ``write`` are
absent, because they serve files too.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import get_args

from binsafe.extractors.names import words
from binsafe.extractors.vocabulary import Vocabulary, table
from binsafe.model.facts import OperationName

OPERATIONS: tuple[OperationName, ...] = get_args(OperationName)


def _table(**names: str) -> Mapping[str, OperationName]:
    return table(OPERATIONS, **names)


_IMPORTS = _table(
    # POSIX and glibc; Winsock (ws2_32, mswsock); WinINet, WinHTTP, urlmon; CoreFoundation, Network.framework and
    # Foundation on macOS; and libraries whose calls reach out by themselves: OpenSSL, libcurl, GIO, libsoup, Qt, libuv,
    # libevent, NSPR, APR, FFmpeg, libwebsockets, gRPC, ZeroMQ, nng, libssh, libgit2, OpenLDAP, TI-RPC, libmicrohttpd,
    # and the clients of PostgreSQL, MySQL, Redis, MQTT, AMQP and SMB.
    socket="socket WSASocketA WSASocketW CFSocketCreate CFSocketCreateWithSocketSignature BIO_socket g_socket_new"
    " PR_NewTCPSocket PR_OpenTCPSocket PR_NewUDPSocket PR_OpenUDPSocket apr_socket_create"
    " _ZN15QAbstractSocketC1ENS_10SocketTypeEP7QObject _ZN10QTcpSocketC1EP7QObject _ZN10QUdpSocketC1EP7QObject"
    " _ZN10QSslSocketC1EP7QObject",
    bind="bind CFSocketSetAddress BIO_bind uv_tcp_bind uv_udp_bind PR_Bind apr_socket_bind zmq_bind g_socket_bind",
    listen="listen nw_listener_create nw_listener_create_with_port CFSocketCreateConnectedToSocketSignature BIO_listen"
    " uv_listen PR_Listen apr_socket_listen g_socket_listen g_socket_listener_add_address"
    " g_socket_listener_add_inet_port g_socket_service_new g_threaded_socket_service_new evconnlistener_new_bind"
    " evhttp_bind_socket evhttp_bind_socket_with_handle MHD_start_daemon nng_listen grpc_server_add_http2_port"
    " lws_create_context svctcp_create svcudp_create svc_create soup_server_listen soup_server_listen_all"
    " _ZN10QTcpServerC1EP7QObject",
    accept="accept accept4 WSAAccept AcceptEx accept$NOCANCEL BIO_new_accept BIO_accept BIO_accept_ex uv_accept"
    " PR_Accept apr_socket_accept g_socket_accept",
    connect="connect connectx WSAConnect ConnectEx WSAConnectByNameA WSAConnectByNameW WSAConnectByList"
    " InternetConnectA InternetConnectW InternetOpenUrlA InternetOpenUrlW WinHttpConnect WinHttpOpenRequest"
    " URLDownloadToFileA URLDownloadToFileW URLOpenStreamA URLOpenStreamW"
    " nw_connection_create CFStreamCreatePairWithSocketToHost CFReadStreamCreateForHTTPRequest"
    " OBJC_CLASS_$_NSURLSession OBJC_CLASS_$_NSURLConnection OBJC_CLASS_$_NWConnection"
    " curl_easy_perform curl_multi_perform curl_multi_socket_action BIO_connect BIO_new_connect BIO_new_ssl_connect"
    " soup_session_send soup_session_send_async soup_session_send_message g_socket_client_connect"
    " g_socket_client_connect_async g_socket_client_connect_to_host g_socket_client_connect_to_host_async"
    " g_socket_connect g_network_address_new uv_tcp_connect PR_Connect apr_socket_connect bufferevent_socket_connect"
    " bufferevent_socket_connect_hostname evhttp_connection_base_new zmq_connect nng_dial grpc_channel_create"
    " lws_client_connect_via_info ssh_connect git_remote_fetch git_remote_connect git_clone ldap_initialize ldap_init"
    " ldap_connect avformat_network_init clnt_create clnttcp_create clntudp_create"
    " PQconnectdb PQconnectdbParams PQconnectStart"
    " PQconnectStartParams PQsetdbLogin mysql_real_connect redisConnect redisConnectWithTimeout redisAsyncConnect"
    " mosquitto_connect mosquitto_connect_async MQTTClient_connect MQTTAsync_connect amqp_socket_open smbc_open"
    " smbc_opendir _ZN21QNetworkAccessManagerC1EP7QObject",
    send="send sendto sendmsg sendmmsg WSASend WSASendTo WSASendMsg WSASendDisconnect TransmitFile HttpSendRequestA"
    " HttpSendRequestW WinHttpSendRequest WinHttpWriteData",
    receive="recv recvfrom recvmsg recvmmsg WSARecv WSARecvFrom WSARecvMsg InternetReadFile WinHttpReadData",
    resolve="getaddrinfo getaddrinfo_a gethostbyname gethostbyname2 gethostbyname_r gethostbyname2_r gethostbyaddr"
    " gethostbyaddr_r getnameinfo res_query res_nquery res_search res_nsearch __res_query __res_nquery __res_search"
    " ares_query ares_getaddrinfo ares_gethostbyname BIO_lookup BIO_lookup_ex uv_getaddrinfo PR_GetAddrInfoByName"
    " PR_GetHostByName apr_sockaddr_info_get g_resolver_lookup_by_name g_resolver_lookup_by_name_async"
    " evdns_getaddrinfo evdns_base_new ub_resolve"
    " GetAddrInfoW GetAddrInfoExA GetAddrInfoExW GetNameInfoW DnsQuery_A DnsQuery_W"
    " DnsQuery_UTF8 DnsQueryEx DNSServiceGetAddrInfo CFHostStartInfoResolution WSAAsyncGetHostByName",
    raw="pcap_create pcap_open_live pcap_inject pcap_sendpacket libnet_init",
)

_SYSTEM_CALLS = _table(
    # socketcall is the one door to all of them on 32-bit x86; the io_uring family is in UNSEEN. macOS has some twice.
    socket="socket socketcall socket_delegate",
    bind="bind",
    listen="listen",
    accept="accept accept4 accept_nocancel",
    connect="connect connectx connect_nocancel",
    send="sendto sendmsg sendmmsg sendto_nocancel sendmsg_nocancel sendmsg_x",
    receive="recvfrom recvmsg recvmmsg recvfrom_nocancel recvmsg_nocancel recvmsg_x",
)

UNSEEN_SYSTEM_CALLS = words(
    "io_uring_setup execveat execve pidfd_getfd bpf posix_spawn __mac_execve necp_open necp_session_open"
)
"""Calls through which a program reaches the network without one of the calls above, or becomes another program."""

_GO_CALLS = _table(
    socket="socket Socket WSASocket",
    bind="bind Bind",
    listen="listen Listen",
    accept="accept accept4 Accept Accept4 AcceptEx",
    connect="connect Connect ConnectEx",
    send="sendto sendmsg Sendto Sendmsg SendmsgN WSASend WSASendto WSASendMsg",
    receive="recvfrom recvmsg Recvfrom Recvmsg WSARecv WSARecvFrom WSARecvMsg",
    resolve="GetAddrInfoW DnsQuery",
)
_GO_PACKAGES = ("syscall", "internal/poll", "golang.org/x/sys/unix", "golang.org/x/sys/windows")

_GO_NET = _table(
    socket="net.socket net.sysSocket net.internetSocket",
    listen="net.(*sysListener).listenTCP net.(*sysListener).listenTCPProto net.(*sysListener).listenUDP"
    " net.(*sysListener).listenUnix net.(*netFD).listenStream net.(*netFD).listenDatagram net.(*ListenConfig).Listen",
    accept="net.(*netFD).accept net.(*TCPListener).accept internal/poll.(*FD).Accept",
    connect="net.(*netFD).connect net.(*netFD).dial net.(*sysDialer).dialTCP net.(*sysDialer).doDialTCP"
    " net.(*sysDialer).doDialTCPProto net.(*sysDialer).dialUDP net.(*sysDialer).dialUnix net.(*Dialer).DialContext"
    " internal/poll.(*FD).ConnectEx",
    send="internal/poll.(*FD).WriteTo internal/poll.(*FD).WriteToInet4 internal/poll.(*FD).WriteToInet6"
    " internal/poll.(*FD).WriteMsg",
    receive="internal/poll.(*FD).ReadFrom internal/poll.(*FD).ReadFromInet4 internal/poll.(*FD).ReadFromInet6"
    " internal/poll.(*FD).ReadMsg",
    resolve="net.(*Resolver).lookupHost net.(*Resolver).lookupIP net.(*Resolver).lookupIPAddr"
    " net.(*Resolver).goLookupIPCNAMEOrder net.(*Resolver).exchange net.cgoLookupHostIP net.cgoLookupIP",
    raw="net.(*sysDialer).dialIP net.(*sysListener).listenIP",
)

_GO_FUNCTIONS: Mapping[str, OperationName] = MappingProxyType(
    {
        **_GO_NET,
        **{f"{package}.{name}": operation for package in _GO_PACKAGES for name, operation in _GO_CALLS.items()},
    }
)

_MANAGED = _table(
    # Beginnings of .NET names: a type with its dot stands for all of its members.
    socket="System.Net.Sockets. System.Net.Quic.",
    bind="System.Net.Sockets.Socket.Bind",
    listen="System.Net.Sockets.Socket.Listen System.Net.Sockets.TcpListener. System.Net.HttpListener."
    " System.Net.Quic.QuicListener.",
    accept="System.Net.Sockets.Socket.Accept System.Net.Sockets.Socket.AcceptAsync"
    " System.Net.Sockets.Socket.BeginAccept"
    " System.Net.Sockets.TcpListener.AcceptTcpClient System.Net.Sockets.TcpListener.AcceptTcpClientAsync"
    " System.Net.Sockets.TcpListener.AcceptSocket",
    connect="System.Net.Sockets.Socket.Connect System.Net.Sockets.Socket.ConnectAsync"
    " System.Net.Sockets.Socket.BeginConnect System.Net.Sockets.TcpClient. System.Net.Http.HttpClient."
    " System.Net.Http.HttpMessageInvoker. System.Net.WebClient. System.Net.WebRequest. System.Net.HttpWebRequest."
    " System.Net.FtpWebRequest. System.Net.WebSockets.ClientWebSocket. System.Net.Mail.SmtpClient."
    " System.Net.Quic.QuicConnection.",
    send="System.Net.Sockets.Socket.Send System.Net.Sockets.Socket.SendTo System.Net.Sockets.Socket.SendAsync"
    " System.Net.Sockets.UdpClient.Send System.Net.Sockets.UdpClient.SendAsync",
    receive="System.Net.Sockets.Socket.Receive System.Net.Sockets.Socket.ReceiveFrom"
    " System.Net.Sockets.Socket.ReceiveAsync System.Net.Sockets.UdpClient.Receive"
    " System.Net.Sockets.UdpClient.ReceiveAsync",
    resolve="System.Net.Dns.",
    raw="System.Net.NetworkInformation.Ping.",
)

_TEXTS: Mapping[bytes, OperationName] = MappingProxyType(
    {
        b"ws2_32.dll": "socket",
        b"WS2_32.dll": "socket",
        "ws2_32.dll".encode("utf-16-le"): "socket",
        b"wininet.dll": "connect",
        b"winhttp.dll": "connect",
        b"System.Net.Sockets": "socket",
        b"System.Net.Http": "connect",
        b"/etc/resolv.conf": "resolve",
    }
)
"""Texts that hint at the network; they prove nothing, so they can only keep a "no" from being said."""

NETWORK: Vocabulary[OperationName] = Vocabulary(
    imports=_IMPORTS, functions=_GO_FUNCTIONS, calls=_SYSTEM_CALLS, managed=_MANAGED, texts=_TEXTS
)

MESSENGERS = words(
    "mach_msg mach_msg_overwrite mach_msg_receive mach_msg_send mach_msg_server mach_msg_server_once mach_msg2_internal"
    " bootstrap_check_in bootstrap_look_up bootstrap_register"
)
"""Functions of macOS with which a program asks others to do something for it."""

LOADERS = words(
    "dlopen dlmopen dlsym dlvsym NSAddImage NSLinkModule CFBundleLoadExecutable LoadLibraryA LoadLibraryW"
    " LoadLibraryExA LoadLibraryExW GetProcAddress LdrLoadDll LdrGetProcedureAddress syscall"
)
"""Functions that give a program functions it does not name, or the kernel itself."""

STARTERS = words(
    "execl execle execlp execv execve execvp execvpe fexecve posix_spawn posix_spawnp system popen CreateProcessA"
    " CreateProcessW CreateProcessAsUserW ShellExecuteA ShellExecuteW ShellExecuteExA ShellExecuteExW WinExec"
)
"""Functions that start another program, which may use the network for this one."""

NAME_SERVICES = words(
    "getpwnam getpwuid getpwnam_r getpwuid_r getgrnam getgrgid getgrnam_r getgrgid_r getgrouplist initgroups getpwent"
    " getgrent getservbyname getservbyport"
)
"""C library functions whose answer may come over the network (nsswitch.conf, Open Directory)."""

PLAIN_LIBRARIES = re.compile(
    r"lib(c|m|pthread|dl|rt|gcc_s|stdc\+\+)\.so(\.[0-9.]+)?|libc\.musl-\w+\.so\.1|ld-(linux|musl)[\w-]*\.so\.\d+"
    r"|linux-vdso\.so\.1|/usr/lib/(libsystem\.b|libc\+\+\.1|libc\+\+abi|libobjc\.a)\.dylib"
    r"|(kernel32|ntdll|user32|gdi32|msvcrt|ucrtbase|vcruntime[\w-]+|msvcp[\w-]+|api-ms-win-(crt|core)-[\w-]+)\.dll"
)
"""Libraries (in lower case) that do nothing on the network but what the program asks them for by name."""
