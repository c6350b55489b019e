package main

import (
	"encoding/json"
	"os"
	"time"
)

// The truth is what a simulator needs to behave as these servers do, and what regret is measured against.
type truth struct {
	Schema  string  `json:"schema"`
	Seed    uint64  `json:"seed"`
	Limits  string  `json:"limits"`
	Host    string  `json:"host"`
	Started float64 `json:"started"` // Unix time of the zero of the limits' clocks, in seconds
	Servers []arm   `json:"servers"`
}

// writeTruth writes one line of JSON to the file that was asked for, if any.
func writeTruth(opts options, start time.Time, arms []arm) error {
	if opts.truth == "" {
		return nil
	}
	line, err := json.Marshal(truth{
		Schema:  "flakyservers.truth/1",
		Seed:    opts.seed,
		Limits:  opts.limits,
		Host:    opts.host.String(),
		Started: float64(start.UnixMicro()) / 1e6,
		Servers: arms,
	})
	if err != nil {
		return err
	}
	line = append(line, '\n')
	if opts.truth == "-" {
		_, err = os.Stdout.Write(line)
		return err
	}
	return os.WriteFile(opts.truth, line, 0o644)
}
