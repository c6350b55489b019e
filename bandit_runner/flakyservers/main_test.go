package main

import (
	"errors"
	"flag"
	"io"
	"testing"
)

func TestCommandLine(t *testing.T) {
	for _, args := range [][]string{
		{"-host", "localhost"}, {"-host", "::1"}, {"-host", "127.0.0.1:80"}, {"-host", ""},
		{"-limits", "soft"}, {"-seed", "-1"}, {"-seed", "x"}, {"-unknown"}, {"extra"},
	} {
		if _, err := parse(args, io.Discard); err == nil || errors.Is(err, flag.ErrHelp) {
			t.Errorf("%q: %v", args, err)
		}
	}
	opts, err := parse([]string{"-host", "127.0.0.2", "-limits", "hard", "-seed", "5", "-truth", "-"}, io.Discard)
	if err != nil || opts.host.String() != "127.0.0.2" || opts.limits != hard || opts.seed != 5 || opts.truth != "-" {
		t.Errorf("%+v %v", opts, err)
	}
	opts, err = parse(nil, io.Discard)
	if err != nil || opts.host.String() != "127.0.0.1" || opts.limits != calibrated || opts.seed != 0 || opts.truth != "" {
		t.Errorf("%+v %v", opts, err)
	}
	if _, err := parse([]string{"-h"}, io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-h: %v", err)
	}
}
