"""Static programs written in C and C++: all that Debian calls ``NAME-static`` (but shells), and ffmpeg."""

import shutil
import signal
import time

from bench import Bench
from fetching import Package, fetch


def ffmpeg(bench: Bench) -> None:
    picture = "-f lavfi -i testsrc=duration=1:size=160x120:rate=10"
    sound = "-f lavfi -i sine=duration=1"
    port, other = bench.port(), bench.backend()
    for options in (
        f"-y {picture} {sound} -c:v libx264 -c:a aac a.mp4", "-y -i a.mp4 -c copy a.mkv",
        "-y -i a.mkv -c:v libvpx a.webm",
        f"-y {sound} a.mp3", "-y -i a.mp3 -f wav -", f"-y {picture} p-%02d.png", "-y -i p-%02d.png a.gif", "-i a.mp4",
        "-i none.mp4", "-nonsense", "-version", "-codecs", "-y -i a.mp4 -f hls a.m3u8", "-y -i a.m3u8 -f null -",
        "-y -threads 4 -i a.mp4 -c:v libx265 b.mp4", f"-y -i http://127.0.0.1:{other}/ x.mp4", "-devices",
        f"-y -re -i a.mp4 -f mpegts udp://127.0.0.1:{port}", "-y -i concat:a.mp3|a.mp3 -c copy b.mp3",
        f"-y -i a.mp4 -f flv rtmp://127.0.0.1:{other}/x", f"-y -i a.mp4 -f mpegts tcp://127.0.0.1:{port}",
        f"-y -i rtsp://127.0.0.1:{other}/x y.mp4", "-report -i a.mp3 -f null -", f"-y {picture} -vf scale=80:60 s.avi",
        "-y -i https://localhost:1/ x.mp4",
    ):  # fmt: skip
        if not (bench.confined and ("udp:" in options or "https:" in options)):  # datagrams; it crashes by itself
            bench.run(*options.split())
    bench.run("-y", "-f", "s16le", "-i", "-", "raw.wav", stdin=bytes(50_000))
    with bench.server("-y", "-re", "-f", "lavfi", "-i", "testsrc", "long.mp4") as server:
        time.sleep(1)
        for number in (signal.SIGSTOP, signal.SIGCONT, signal.SIGINT):
            server.signal(number)


def dar(bench: Bench) -> None:
    for number in range(20):
        bench.write(f"tree/{number}/file", b"content " * 500 * number)
    bench.write("tree/run", "x", 0o1755)  # what lends rights (set-user-ID) no sandbox grants
    (bench.folder / "tree/link").symlink_to("run")
    (bench.folder / "tree/hard").hardlink_to(bench.folder / "tree/run")
    for options in (
        "-c full -R tree -z", "-t full", "-l full", "-x full -R out -O -w", "-d full -R tree", "-C cat -A full",
        "-c diff -A full -R tree", "-c cut -s 20k -R tree", "-t cut", "-c secret -K pass -R tree -zxz",
        "-l secret -K pass",
        "-x none", "-nonsense", "-V", "-h", "-c hash --hash sha512 -R tree", "-+ merged -A full -@ diff",
        "-c sparse -R tree --fsa-scope=linux_extX --alter=atime", "-x full -R /nowhere", "-y full",
    ):  # fmt: skip
        bench.run(*options.split(), "-Q")
    bench.run("-c", "-", "-R", "tree", "-Q")


def e2fsck(bench: Bench) -> None:
    image = bench.folder / "image"

    def make(kind: str, *options: str) -> None:
        bench.other("/usr/sbin/mke2fs", "-q", "-F", "-t", kind, *options, image, "8M")

    for kind in ("ext2", "ext3", "ext4"):
        make(kind)
        for options in ("-n", "-p", "-fy", "-fv -C 0", "-fD", "-b 8193", "-E journal_only", "-c -y"):
            bench.run(*options.split(), image)
    for place in (1024, 40_000, 300_000):
        make("ext4", "-b", "1024", "-d", "/etc/apt")
        data = bytearray(image.read_bytes())
        data[place : place + 3000] = b"\xa5" * 3000
        image.write_bytes(data)
        bench.run("-fn", image)
        bench.run("-fy", image)
        bench.run("-fy", "-z", "undo", image)
    bench.run("-y", "/nowhere")
    bench.run("-V")
    bench.run("-nonsense")
    bench.run("-f", image, stdin=b"y\n" * 20)


def cdebootstrap(bench: Bench) -> None:
    port = bench.backend()
    for options in (
        "--help", "--version", "nonsense", f"bookworm target http://127.0.0.1:{port}/debian",
        f"--allow-unauthenticated --debug bookworm target http://127.0.0.1:{port}/debian", "bookworm /nowhere/x",
        f"-d -v -f minimal sid other http://127.0.0.1:{port}/", "bookworm target file:///nowhere",
    ):  # fmt: skip
        bench.run(*options.split())


def gpgv(bench: Bench) -> None:
    home = bench.folder / "keys"
    home.mkdir(mode=0o700)
    bench.write("message", "hello\n" * 100)
    gpg = ("gpg", "--homedir", home, "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "")
    bench.other(*gpg, "--quick-generate-key", "a@b", "rsa2048", "sign", "never")
    bench.other(*gpg, "--export", "-o", bench.folder / "ring.gpg")
    bench.other(*gpg, "--detach-sign", "-o", "message.sig", "message")
    bench.other(*gpg, "--clearsign", "-o", "message.asc", "message")
    bench.other("gpgconf", "--homedir", home, "--kill", "all")
    bench.write("other", "changed")
    ring = ("--keyring", bench.folder / "ring.gpg")
    for options in (
        (*ring, "message.sig", "message"), (*ring, "message.sig", "other"), (*ring, "message.asc"), (*ring, "/nowhere"),
        (*ring, "-v", "--status-fd", "1", "message.sig", "message"), ("message.sig", "message"), ("--version",),
        ("--keyring", "/nowhere", "message.sig", "message"), ("--nonsense",), (*ring, "-o", "plain", "message.asc"),
    ):  # fmt: skip
        bench.run(*options)
    bench.run(*ring, "message.sig", "-", stdin=b"hello\n" * 100)


_QEMU_UNCONFINED = (
    "ls -la /", "ps", "df", "free", "dd if=/dev/zero of=z bs=1k count=9",  # files that nobody granted, /proc first
    "nslookup localhost 127.0.0.1",  # datagrams
    "timeout 1 sleep 5",  # starts busybox as a program of its own, which it is not here
)  # fmt: skip


def qemu(bench: Bench) -> None:
    """A translator of programs: what its guest asks for, it asks for."""
    guest = fetch(Package("deb", "busybox-static", platform="arm64"), "./bin/busybox")
    busybox = shutil.copyfile(guest, bench.folder / "busybox")
    busybox.chmod(0o755)
    script = "for i in 1 2 3; do echo $i | ./busybox cat > f$i; done; ./busybox ls -l; ./busybox rm f1; kill -USR1 $$"
    for options in (
        "sh -c", "ls -la", "cp busybox copy", "gzip copy", "find . -type f", "stat f2", "date", "sleep 0.2",
        "mkdir -p deep/er", "mv deep other", "ln -s a b", "chmod 600 f2", "touch f9", "uptime",
        *(() if bench.confined else _QEMU_UNCONFINED),
    ):  # fmt: skip
        words = options.split()
        bench.run(busybox, *words, *([script] if words[0] == "sh" else []))
    for options in (
        "-version",
        "-help",
        "/nowhere",
        "-strace busybox true",
        "-d in_asm -D log busybox true",
        "-nonsense",
    ):
        bench.run(*options.split())
    port = bench.port()
    with bench.server(busybox, "httpd", "-f", "-p", f"127.0.0.1:{port}") as server:
        time.sleep(1)
        bench.get(port, "/f2")
        server.signal(signal.SIGSTOP)
        server.signal(signal.SIGCONT)
        server.signal(signal.SIGTERM)
