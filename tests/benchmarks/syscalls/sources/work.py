"""A little of all that Python's standard library asks of the kernel: a list of calls, not code to learn from."""

import asyncio, array, bz2, concurrent.futures, ctypes, curses, dbm, email, fcntl, ftplib, getpass, glob, grp, gzip, hashlib, http.client, http.server
import json, locale, logging.handlers, lzma, mmap, multiprocessing, os, pathlib, pickle, platform, pty, pwd, queue, random, resource, secrets, select
import selectors, shutil, signal, smtplib, socket, socketserver, sqlite3, ssl, stat, subprocess, sys, sysconfig, syslog, tempfile, termios, threading, time
import tty, urllib.request, uuid, zipfile, zoneinfo, decimal, readline, tarfile


def attempt(function, *arguments, **named):
    try:
        return function(*arguments, **named)
    except Exception as error:
        print(type(error).__name__, error)


with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder, "a")
    path.write_text("x" * 100000)
    path.chmod(0o600)
    os.utime(path)
    path.rename(path.with_suffix(".b"))
    shutil.copytree(folder, folder + "/copy", ignore=lambda *_: ["copy"])
    list(os.walk(folder))
    os.symlink("x", folder + "/l")
    os.readlink(folder + "/l")
    shutil.make_archive(folder + "/z", "zip", folder + "/copy")
    tarfile.open(folder + "/t.gz", "w:gz").add(folder + "/copy")
    os.truncate(folder + "/a.b", 5)
    with open(folder + "/m", "w+b") as f:
        f.write(b"x" * 8192)
        f.flush()
        m = mmap.mmap(f.fileno(), 8192)
        m[0:2] = b"yy"
        m.flush()
        m.close()
        fcntl.flock(f, fcntl.LOCK_EX)
        fcntl.lockf(f, fcntl.LOCK_UN)
        os.fsync(f.fileno())
        os.posix_fallocate(f.fileno(), 0, 100)
        f.truncate(10)
        os.pread(f.fileno(), 5, 0)
    db = sqlite3.connect(folder + "/d")
    db.execute("create table t(a)")
    db.execute("insert into t values(1)")
    db.commit()
    db.close()
    attempt(os.setxattr, path, "user.x", b"1")
    os.mkfifo(folder + "/f")
    attempt(os.chown, folder + "/m", 0, 0)
    attempt(os.sendfile, 1, 0, 0, 1)

subprocess.run(["true"])
subprocess.run("echo hi | cat", shell=True)
subprocess.run(["cat"], input=b"x", capture_output=True, start_new_session=True)
attempt(subprocess.run, ["/nonexistent"])
attempt(subprocess.run, ["sleep", "3"], timeout=0.1)
os.system("true")
os.popen("date").read()
pid = os.fork()
if pid == 0:
    os._exit(3)
os.waitpid(pid, 0)
attempt(os.posix_spawn, "/bin/true", ["true"], {})
attempt(os.wait)
server = socket.create_server(("127.0.0.1", int(os.environ.get("FIRST_PORT", "0"))))
client = socket.create_connection(server.getsockname())
connection, _ = server.accept()
connection.sendall(b"x" * 10)
client.recv(10)
client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
client.shutdown(socket.SHUT_RDWR)
client.close()
a, b = socket.socketpair()
socket.send_fds(a, [b"x"], [0])
socket.recv_fds(b, 1, 1)
attempt(socket.getaddrinfo, "localhost", 80)
socket.gethostname()
attempt(socket.getaddrinfo, "nowhere.invalid", 80)
attempt(socket.create_connection, ("127.0.0.1", 1), 1)
select.select([a], [], [], 0.01)
select.poll().poll(1)
selectors.DefaultSelector().select(0.01)
attempt(urllib.request.urlopen, "http://127.0.0.1:1/")
ssl.create_default_context()
attempt(socket.if_nameindex)


async def main():
    p = await asyncio.create_subprocess_exec("true")
    await p.wait()
    s = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", int(os.environ.get("SECOND_PORT", "0")))
    r, w = await asyncio.open_connection(*s.sockets[0].getsockname())
    await r.read()
    await asyncio.to_thread(time.sleep, 0.01)
    s.close()


asyncio.run(main())
threads = [threading.Thread(target=time.sleep, args=(0.01,)) for _ in range(4)]
[t.start() for t in threads]
[t.join() for t in threads]
signal.signal(signal.SIGUSR1, lambda *_: None)
os.kill(os.getpid(), signal.SIGUSR1)
signal.setitimer(signal.ITIMER_REAL, 0.01)
signal.signal(signal.SIGALRM, lambda *_: None)
time.sleep(0.05)
signal.alarm(0)
attempt(signal.sigtimedwait, [signal.SIGUSR2], 0.01)
resource.getrlimit(resource.RLIMIT_NOFILE)
resource.getrusage(resource.RUSAGE_SELF)
print(
    os.getuid(),
    os.uname(),
    os.cpu_count(),
    os.sched_getaffinity(0),
    os.getloadavg(),
    os.times(),
    os.getpriority(0, 0),
    os.nice(0),
)
pwd.getpwnam("root")
grp.getgrgid(0)
attempt(pwd.getpwnam, "nobodyhere")
random.random()
secrets.token_hex()
uuid.uuid1()
hashlib.sha256(b"x").hexdigest()
if terminal := attempt(pty.openpty):
    attempt(tty.setraw, terminal[1])
    attempt(os.ttyname, terminal[1])
    os.get_terminal_size(terminal[1])
attempt(termios.tcgetattr, 0)
syslog.syslog("x")
attempt(os.memfd_create, "x")
attempt(os.eventfd, 0)
attempt(os.pidfd_open, os.getpid())
attempt(os.statvfs, "/")
attempt(os.copy_file_range, 0, 1, 1)
attempt(os.getgroups)
attempt(time.clock_gettime, 0)
attempt(time.clock_getres, 1)
attempt(os.sched_yield)
attempt(os.umask, 0o22)
attempt(os.getsid, 0)
attempt(os.setpgid, 0, 0)
os.pipe2(0)
print(ctypes.CDLL(None).getpid(), locale.setlocale(locale.LC_ALL, ""), zoneinfo.ZoneInfo("UTC"), platform.platform())
attempt(os.chroot, "/nowhere")
attempt(os.setresuid, 0, 0, 0)
if __name__ == "__main__":
    with multiprocessing.Pool(2) as pool:
        print(pool.map(abs, [-1, -2]))
    q = multiprocessing.Queue()
    q.put(1)
    q.get()
    multiprocessing.Value("i", 0)
    multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1) as e:
        e.submit(abs, 1).result()
    from multiprocessing import shared_memory

    s = shared_memory.SharedMemory(create=True, size=10)
    s.close()
    s.unlink()
    os.execv("/bin/true", ["true"])
