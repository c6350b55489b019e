"""Code that runs on occasions only: what is left out where nothing asks for it, and comes back where something does."""

from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from small_files import NUMBERS, file, library

from binsafe.syscalls.linking.composing import Closure, File
from binsafe.syscalls.linking.known_libraries import NSCD, USER_DATABASE, conditions
from binsafe.syscalls.linking.summary import Name, Passed, Summary


def using(*names: str, passed: tuple[Passed, ...] = ()) -> Summary:
    """A program that calls these."""
    imports = tuple(Name(name, None, False) for name in names)
    plain = library([(0, 1 + at) for at in range(len(names))], functions=1, imports=imports, roots=(0,))
    return msgspec.structs.replace(plain, passed=passed)


def run(program: Summary, lib: Summary, exists: Callable[[str], bool] = lambda _: True) -> set[str]:
    """The calls that the library makes for the program."""
    lib = msgspec.structs.replace(lib, conditions=tuple(conditions(lib)))
    closure = Closure([File("program", program), File("lib", lib)], exists)
    never = closure.never()
    names = {number: name for name, number in NUMBERS.items()}
    made = (call for call in lib.calls if closure.live(1, call.node))
    return {names[call.number] for call in made if (1, call.node, names[call.number]) not in never}


LIBC = "___libc_start_main start"
SPAWN = file(
    f"{LIBC} _posix_spawn child _setsid ___setpgid _posix_spawnattr_setflags",
    "_posix_spawn>child",
    "child>_setsid",
    "child>___setpgid",
    calls={"child": "setresuid setresgid close", "_setsid": "setsid", "___setpgid": "setpgid"},
)


def flags(value: int | None) -> tuple[Passed, ...]:
    return (Passed("posix_spawnattr_setflags", "rsi", 0, 0x1000, value),)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0x04, {"close"}),
        (0x80, {"close", "setsid"}),
        (0x02 | 0x80, {"close", "setsid", "setpgid"}),
        (0x01, {"close", "setresuid", "setresgid"}),
        (None, {"close", "setsid", "setpgid", "setresuid", "setresgid"}),
    ],
)
def test_a_child_is_made_as_the_flags_say_and_in_all_ways_if_they_are_not_known(value: int | None, expected: set[str]):
    program = using("posix_spawn", "posix_spawnattr_setflags", passed=flags(value))
    assert run(program, SPAWN) == expected


def test_without_flags_a_child_is_just_started():
    assert run(using("posix_spawn"), SPAWN) == {"close"}


def test_flags_that_are_set_by_a_function_looked_up_at_run_time_are_not_known():
    looked_up = (Passed("dlsym", "rsi", 0, 0x1000, 0x2000, "posix_spawnattr_setflags"),)
    assert "setsid" in run(using("posix_spawn", "dlsym", passed=looked_up), SPAWN)


def test_the_first_thread_ends_alone_only_where_threads_can_be_left():
    libc = file(
        f"{LIBC} _pthread_exit",
        "___libc_start_main>start",
        calls={"start": "exit exit_group"},
    )
    assert run(using("__libc_start_main"), libc) == {"exit_group"}
    assert run(using("__libc_start_main", "pthread_exit"), libc) == {"exit", "exit_group"}


@pytest.mark.parametrize(
    ("exported", "makes", "made"),
    [
        ("faccessat", "faccessat2 faccessat", "faccessat2"),
        ("faccessat", "faccessat", "faccessat"),
        ("arc4random", "getrandom ppoll", "getrandom"),
        ("arc4random", "ppoll read", "ppoll read"),
    ],
)
def test_the_older_call_is_left_out_where_the_newer_one_is_made(exported: str, makes: str, made: str):
    libc = file(f"{LIBC} _{exported}", calls={f"_{exported}": makes})
    assert run(using(exported), libc) == set(made.split())


def test_behind_the_end_of_the_process_nothing_is_called():
    libc = file(f"{LIBC} __exit other", "__exit>other", calls={"__exit": "exit exit_group", "other": "exit_group"})
    assert run(using("_exit"), libc) == {"exit_group"}


def test_code_that_waits_for_itself_to_be_reached_is_not_run():
    libc = file(
        f"{LIBC} _pthread_create ending _svc_unregister _svc_register",
        "_pthread_create>ending",
        "ending>_svc_unregister",
        "_svc_unregister>_svc_register",
        calls={"_svc_unregister": "dup"},
    )
    assert run(using("pthread_create"), libc) == set()
    assert run(using("pthread_create", "svc_register"), libc) == {"dup"}


NSCD_CLIENT = file(
    f"{LIBC} _getpwnam_r asking opening reading waiting _poll _readv _send _connect",
    "_getpwnam_r>asking",
    "_getpwnam_r>reading",
    "asking>opening",
    "asking>waiting",
    "opening>_connect",
    "opening>_send",
    "reading>waiting",
    "reading>_readv",
    "waiting>_poll",
    calls={"_poll": "poll", "_readv": "readv", "_send": "sendto", "_connect": "connect"},
    texts={"opening": NSCD},
)


def test_nothing_is_read_from_a_name_cache_that_is_not_there():
    assert run(using("getpwnam_r"), NSCD_CLIENT, lambda path: path != NSCD) == {"connect"}
    assert run(using("getpwnam_r"), NSCD_CLIENT) == {"connect", "poll", "readv", "sendto"}
    assert run(using("getpwnam_r", "readv"), NSCD_CLIENT, lambda path: path != NSCD) == {"connect", "readv"}


def test_who_waits_for_something_else_than_the_name_cache_waits_also_where_that_is_not_there():
    client = file(
        f"{LIBC} _getpwnam_r asking opening waiting _getaddrinfo _poll",
        "_getpwnam_r>asking",
        "asking>opening",
        "asking>waiting",
        "waiting>_poll",
        "_getaddrinfo>_poll",
        calls={"_poll": "poll"},
        texts={"opening": NSCD},
    )
    assert run(using("getpwnam_r"), client, lambda path: path != NSCD) == set()
    assert run(using("getpwnam_r", "getaddrinfo"), client, lambda path: path != NSCD) == {"poll"}


def users_of_systemd(*more: str) -> Summary:
    """The name service: ``listing`` opens the folder and ``joining`` connects, in a loop that ``making`` makes."""
    return file(
        "__nss_systemd_getpwnam_r listing joining making watching",
        "__nss_systemd_getpwnam_r>listing",
        "listing>joining",
        "listing>opendir",
        "joining>making",
        "joining>connect",
        "making>epoll_create1",
        "__nss_systemd_getpwnam_r>watching",
        "watching>epoll_wait",
        *more,
        imports="opendir connect epoll_create1 epoll_wait",
        calls={"listing": "open", "joining": "sendto", "making": "epoll_create1", "watching": "epoll_wait"},
        soname="libnss_systemd.so.2",
    )


def test_users_are_asked_for_over_sockets_only_where_there_are_any():
    def nobody(path: str) -> bool:
        return path != USER_DATABASE

    asking = using("_nss_systemd_getpwnam_r")
    assert run(asking, users_of_systemd(), nobody) == {"open"}
    assert run(asking, users_of_systemd()) == {"open", "sendto", "epoll_create1", "epoll_wait"}


def test_a_name_service_that_connects_where_it_lists_keeps_the_listing():
    merged = users_of_systemd("listing>making", "listing>connect")
    assert "open" in run(using("_nss_systemd_getpwnam_r"), merged, lambda path: path != USER_DATABASE)


def test_the_loader_profiles_nothing_and_starts_nothing():
    loader = file("__rtld_global main", "__rtld_global>main", calls={"main": "setitimer execve mmap"})
    assert run(using("_rtld_global"), loader) == {"mmap"}


def test_another_librarys_timer_is_not_the_loaders():
    plain = file("_f", calls={"_f": "setitimer"})
    assert run(using("f"), plain) == {"setitimer"}


def logging(*more: str) -> Summary:
    """The same name service with a log, for which ``opening`` would connect."""
    return file(
        "__nss_systemd_getpwnam_r listing joining making log opening",
        "__nss_systemd_getpwnam_r>listing",
        "__nss_systemd_getpwnam_r>log",
        "listing>opendir",
        "listing>joining",
        "joining>making",
        "joining>connect",
        "making>epoll_create1",
        "log>sendmsg",
        "opening>connect",
        *more,
        imports="opendir connect epoll_create1 sendmsg",
        calls={"listing": "open", "log": "writev"},
        soname="libnss_systemd.so.2",
    )


def sends(service: Summary) -> bool:
    service = msgspec.structs.replace(service, conditions=tuple(conditions(service)))
    kernel = file("_sendmsg", calls={"_sendmsg": "sendmsg"})
    files = [File("program", using("_nss_systemd_getpwnam_r")), File("service", service), File("libc", kernel)]
    return Closure(files, lambda path: path != USER_DATABASE).live(2, 0)


def test_a_log_that_nobody_opens_is_not_sent():
    assert not sends(logging())
    assert sends(logging("__nss_systemd_getpwnam_r>opening"))
    opening_first = np.array([5], np.int32).tobytes()  # as an initialiser
    assert sends(msgspec.structs.replace(logging(), roots=opening_first))
