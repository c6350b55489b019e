//go:debug multipathtcp=2

// Probe tries what a sandboxed program must not be able to do, and some things that it must. Each argument names one
// attempt, some with a value after "="; for each, one line of JSON says how it went: {"attempt":..., "error":...}, with an
// empty error where it succeeded. With "stay" it then waits until it is stopped.
// Like every program that declares Go 1.24, it asks for multipath TCP first when it listens.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

var attempts = map[string]func(value string) error{
	"connect":    func(v string) error { return dial("tcp", v) },
	"udp":        func(v string) error { return dial("udp", v) },
	"unix":       func(v string) error { return dial("unix", v) },
	"listen":     listen,
	"unbound":    listenUnbound,
	"read":       func(v string) error { _, err := os.ReadFile(v); return err },
	"list":       func(v string) error { _, err := os.ReadDir(v); return err },
	"write":      func(v string) error { return os.WriteFile(v, []byte("x"), 0o755) },
	"rename":     rename,
	"execute":    func(v string) error { return syscall.Exec(v, []string{v}, nil) },
	"spawn":      spawn,
	"kill":       kill,
	"uid":        func(string) error { return expect(os.Getuid() != 0, "uid is 0") },
	"pid":        func(string) error { return expect(os.Getpid() < 10, "pid %d is not of a new namespace", os.Getpid()) },
	"variables":  variables,
	"open-files": openFiles,
	"fast-open":  fastOpen,
	"descriptor": descriptor,
	"socket":     socket,
	"option":     option,
	"call":       call,
	"write-exec": writeExec,
}

func main() {
	stay := os.Args[len(os.Args)-1] == "stay"
	if stay {
		signal.Notify(make(chan os.Signal, 1), syscall.SIGTERM)
	}
	for _, argument := range os.Args[1:] {
		if argument == "stay" {
			continue
		}
		name, value, _ := strings.Cut(argument, "=")
		attempt, known := attempts[name]
		if !known {
			fmt.Fprintln(os.Stderr, "unknown attempt", name)
			os.Exit(2)
		}
		message := ""
		if err := attempt(value); err != nil {
			message = err.Error()
		}
		line, _ := json.Marshal(map[string]string{"attempt": argument, "error": message})
		fmt.Println(string(line))
	}
	if stay {
		for {
			time.Sleep(time.Hour)
		}
	}
}

func expect(holds bool, format string, values ...any) error {
	if holds {
		return nil
	}
	return fmt.Errorf(format, values...)
}

func dial(network, address string) error {
	connection, err := net.DialTimeout(network, address, time.Second)
	if err != nil {
		return err
	}
	defer connection.Close()
	_, err = connection.Write([]byte("x"))
	return err
}

// listen keeps its listener: a port that was granted must stay reachable from outside.
var kept []net.Listener

func listen(address string) error {
	listener, err := net.Listen("tcp", address)
	if err == nil {
		kept = append(kept, listener)
		go answer(listener)
	}
	return err
}

// listenUnbound listens on a socket that has no address: the kernel would choose a port.
func listenUnbound(string) error {
	descriptor, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(descriptor)
	return syscall.Listen(descriptor, 1)
}

func answer(listener net.Listener) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		connection.Write([]byte("hello"))
		connection.Close()
	}
}

func rename(paths string) error {
	before, after, _ := strings.Cut(paths, ",")
	return os.Rename(before, after)
}

func spawn(path string) error {
	process, err := os.StartProcess(path, []string{path}, &os.ProcAttr{})
	if err == nil {
		process.Wait()
	}
	return err
}

func kill(pid string) error {
	var number int
	fmt.Sscan(pid, &number)
	return syscall.Kill(number, syscall.SIGTERM)
}

func variables(string) error {
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "PATH=") {
			return fmt.Errorf("%s", variable)
		}
	}
	return nil
}

// openFiles looks for descriptors that nobody meant to give: any above the standard ones that was open at the start is
// below those that the runtime made since, so only the low ones are tried.
func openFiles(string) error {
	for descriptor := 3; descriptor < 64; descriptor++ {
		var status syscall.Stat_t
		if syscall.Fstat(descriptor, &status) != nil {
			continue
		}
		if kind := status.Mode & syscall.S_IFMT; kind == syscall.S_IFREG || kind == syscall.S_IFDIR {
			return fmt.Errorf("descriptor %d is open", descriptor)
		}
	}
	return nil
}

// fastOpen turns a listener that was granted into an outgoing connection, without connect().
func fastOpen(address string) error {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		listener = kept[0]
	}
	file, err := listener.(*net.TCPListener).File()
	if err != nil {
		return err
	}
	defer file.Close()
	syscall.Shutdown(int(file.Fd()), syscall.SHUT_RDWR)
	target, err := net.ResolveTCPAddr("tcp4", address)
	if err != nil {
		return err
	}
	destination := &syscall.SockaddrInet4{Port: target.Port}
	copy(destination.Addr[:], target.IP.To4())
	const messageFastOpen = 0x20000000
	return syscall.Sendto(int(file.Fd()), []byte("x"), messageFastOpen, destination)
}

func descriptor(number string) error {
	var fd int
	fmt.Sscan(number, &fd)
	var status syscall.Stat_t
	if syscall.Fstat(fd, &status) == nil {
		return nil
	}
	return errors.New("closed")
}

// socket=family,type,protocol
func socket(value string) error {
	var family, kind, protocol int
	fmt.Sscanf(value, "%d,%d,%d", &family, &kind, &protocol)
	fd, err := syscall.Socket(family, kind, protocol)
	if err == nil {
		syscall.Close(fd)
	}
	return err
}

// option=level,name on a fresh TCP socket
func option(value string) error {
	var level, name int
	fmt.Sscanf(value, "%d,%d", &level, &name)
	fd, err := syscall.Socket(syscall.AF_INET6, syscall.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	return syscall.SetsockoptInt(fd, level, name, 1)
}

// call=number,argument,...: any system call. EFAULT, EINVAL and EBADF mean that it went through to the kernel.
func call(value string) error {
	var arguments [7]uintptr
	for index, field := range strings.Split(value, ",") {
		var number int64
		fmt.Sscan(field, &number)
		arguments[index] = uintptr(number)
	}
	_, _, errno := syscall.RawSyscall6(
		arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5], arguments[6])
	if errno == 0 || errno == syscall.EFAULT || errno == syscall.EINVAL || errno == syscall.EBADF {
		return nil
	}
	return errno
}

func writeExec(string) error {
	const size = 4096
	memory, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE|syscall.PROT_EXEC,
		syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err == nil {
		return syscall.Munmap(memory)
	}
	return err
}
