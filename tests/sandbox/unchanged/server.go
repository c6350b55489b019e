// Answers HTTP as Go servers do it: server ADDRESS [reuseport]
package main

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"syscall"
)

const soReusePort = 15

func main() {
	config := net.ListenConfig{}
	listeners := 1
	if len(os.Args) > 2 && os.Args[2] == "reuseport" {
		listeners = 2
		config.Control = func(_, _ string, connection syscall.RawConn) error {
			var failed error
			err := connection.Control(func(fd uintptr) {
				failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, soReusePort, 1)
			})
			if err != nil {
				return err
			}
			return failed
		}
	}
	hello := http.HandlerFunc(func(answer http.ResponseWriter, _ *http.Request) { io.WriteString(answer, "hello") })
	ended := make(chan error)
	for range listeners {
		listener, err := config.Listen(context.Background(), "tcp", os.Args[1])
		if err != nil {
			log.Fatal(err)
		}
		go func() { ended <- http.Serve(listener, hello) }()
	}
	log.Fatal(<-ended)
}
