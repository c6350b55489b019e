// Command flakyservers runs thirty unreliable HTTP servers on loopback: three tiers of ten ports.
//
// Each server accepts `POST /` with 24 alphanumeric characters and answers 200 or a 5XX by a success rate that is drawn
// anew at each start. The second and third tier also limit the rate of requests (429). It stands in for a program that
// came as a bare binary; the figures are those that the binary's own logs support.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

const (
	exitFailed = 1
	exitUsage  = 2

	// A client that is slower than this, in either direction, is cut off.
	clientTimeout = 5 * time.Second
	// A connection may rest this long between two requests.
	idleTimeout = 60 * time.Second
	// How long requests that are being answered may take to end after SIGTERM.
	stopTimeout    = time.Second
	maxHeaderBytes = 8 << 10
)

type options struct {
	seed   uint64
	host   netip.Addr
	limits string
	truth  string
}

func main() {
	opts, err := parse(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		os.Exit(exitUsage) // parse has said why
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, opts); err != nil {
		fmt.Fprintln(os.Stderr, "flakyservers:", err)
		os.Exit(exitFailed)
	}
}

// parse reads the command line. A fault is reported on stderr, in the flag package's words, before it is returned.
func parse(args []string, stderr io.Writer) (options, error) {
	opts := options{host: netip.AddrFrom4([4]byte{127, 0, 0, 1}), limits: calibrated}
	flags := flag.NewFlagSet("flakyservers", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Uint64Var(&opts.seed, "seed", 0, "draw rates, limits and outcomes from this `number`; 0 picks one")
	flags.Func("host", "IPv4 `address` to listen on (default 127.0.0.1)", func(text string) (err error) {
		// Only literal addresses: a name would need the resolver, its files and a way out.
		if opts.host, err = netip.ParseAddr(text); err == nil && !opts.host.Is4() {
			err = errors.New("not an IPv4 address")
		}
		return err
	})
	flags.Func("limits", "rate limits: calibrated or hard (default calibrated)", func(text string) error {
		opts.limits = text
		if text != calibrated && text != hard {
			return errors.New("must be calibrated or hard")
		}
		return nil
	})
	flags.StringVar(&opts.truth, "truth", "", "write the drawn rates and limits as one line of JSON to this `file`; - is stdout")
	if err := flags.Parse(args); err != nil {
		return opts, err
	}
	if flags.NArg() > 0 {
		err := fmt.Errorf("unexpected argument %q", flags.Arg(0))
		fmt.Fprintln(stderr, "flakyservers:", err)
		return opts, err
	}
	return opts, nil
}

// run serves until ctx ends, and returns nil then. Nothing is served unless all ports could be opened.
func run(ctx context.Context, opts options) error {
	if opts.seed == 0 {
		opts.seed = 1 + rand.Uint64N(1<<53-1) // a number that every JSON reader keeps exactly
	}
	start := time.Now()
	clock := func() float64 { return time.Since(start).Seconds() }

	arms := draw(opts.seed, opts.limits)
	if err := writeTruth(opts, start, arms); err != nil {
		return err
	}
	listeners, err := listen(opts.host, arms)
	if err != nil {
		return err
	}
	servers := make([]*http.Server, len(arms))
	failed := make(chan error, len(arms))
	for i, arm := range arms {
		servers[i] = &http.Server{
			Handler:                      newHandler(arm, opts.seed, clock),
			ReadTimeout:                  clientTimeout,
			WriteTimeout:                 clientTimeout,
			IdleTimeout:                  idleTimeout,
			MaxHeaderBytes:               maxHeaderBytes,
			DisableGeneralOptionsHandler: true, // OPTIONS is a wrong method like any other
		}
		go func() { failed <- servers[i].Serve(listeners[i]) }()
	}
	fmt.Fprintf(os.Stderr, "flakyservers: %d servers listen on %s\n", len(arms), opts.host)

	select {
	case <-ctx.Done():
	case err = <-failed: // Serve ends on its own only by an error
	}
	shutdown(servers)
	return err
}

// listen opens every arm's port, or none.
func listen(host netip.Addr, arms []arm) ([]net.Listener, error) {
	listeners := make([]net.Listener, 0, len(arms))
	for _, arm := range arms {
		listener, err := net.Listen("tcp4", net.JoinHostPort(host.String(), strconv.Itoa(arm.Port)))
		if err != nil {
			for _, opened := range listeners {
				opened.Close()
			}
			return nil, fmt.Errorf("port %d cannot be opened: %w", arm.Port, err)
		}
		listeners = append(listeners, listener)
	}
	return listeners, nil
}

// shutdown lets all servers finish what they are answering, together for at most stopTimeout, and closes them.
func shutdown(servers []*http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	for _, server := range servers {
		if server.Shutdown(ctx) != nil {
			server.Close()
		}
	}
}
