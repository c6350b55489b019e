"""A program in Go that does what it is told, and the command that runs it."""

import os
import sys
from pathlib import Path

import platformdirs
import pytest

from bandit_runner.flakyservers.build import find_go, this_machine

SOURCE = """
package main

import ("fmt"; "io"; "net"; "os"; "os/exec"; "os/signal"; "syscall"; "time"; "unsafe")

func main() {
	switch os.Args[1] {
	case "copy":
		io.Copy(os.Stdout, os.Stdin)
	case "stubborn":
		signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
		fmt.Println("ready")
		time.Sleep(time.Hour)
	case "denied":
		for i := 1; i <= 5000; i++ { net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", i)) }
		fmt.Println("done")
	case "title":
		fmt.Print("\\x1b]0;owned\\x07\\x1b[31mred\\x1b[0m\\x1b[6n\\n")
	case "rewrite":
		os.Stdout.Seek(0, 0)
		os.Stdout.Write([]byte("new"))
	case "hostname":
		name, _ := os.Hostname()
		fmt.Println(name)
	case "shell":
		said, err := exec.Command("/bin/sh", "-c", "read line < /etc/passwd; echo $line").CombinedOutput()
		fmt.Println(string(said), err)
	case "starter":
		group := syscall.Getpgrp()
		_, _, adopts := syscall.RawSyscall(syscall.SYS_PRCTL, 36, 1, 0)
		_, _, gives := syscall.RawSyscall(syscall.SYS_IOCTL, 0, 0x5410, uintptr(unsafe.Pointer(&group)))
		fmt.Println(adopts, gives)
		exec.Command("/bin/true").Run()
	case "again":
		fmt.Println(syscall.Exec("/proc/self/exe", []string{"again", "hostname"}, nil))
	}
}
"""


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    (folder / "main.go").write_text(SOURCE)
    (folder / "go.mod").write_text("module program\n\ngo 1.22\n")
    go = find_go(os.environ, platformdirs.user_cache_path("binsafe") / "flakyservers")
    go.run("build", "-trimpath", "-o", str(folder / "program"), ".", cwd=folder, target=this_machine())
    return folder / "program"


@pytest.fixture
def command(program: Path) -> list[str]:
    return [sys.executable, "-m", "binsafe", "run", "--baseline", "network_server", str(program)]
