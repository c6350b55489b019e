package main

import (
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
)

const idLength = 24

// The ways to fail; each is as likely as the others.
var failures = []int{http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable}

// A handler is one arm at work.
type handler struct {
	clock func() float64 // seconds since the start

	mutex       sync.Mutex // guards all below
	successRate float64
	random      *rand.Rand
	bucket      *bucket // nil: no limit
}

func newHandler(a arm, seed uint64, clock func() float64) *handler {
	h := &handler{clock: clock, successRate: a.SuccessRate, random: stream(seed, a.Port, answering)}
	if a.Limit != nil {
		h.bucket = newBucket(*a.Limit)
	}
	return h
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status := refusal(w, r)
	if status == 0 {
		status = h.attempt()
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	io.WriteString(w, http.StatusText(status)+"\n") // a client that is gone misses nothing we could still tell it
}

// attempt returns the status of a well-formed request: its luck counts only when the limit lets it pass.
func (h *handler) attempt() int {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	// The time is read under the lock: a bucket must not see it run backwards.
	if h.bucket != nil && !h.bucket.take(h.clock()) {
		return http.StatusTooManyRequests
	}
	if h.random.Float64() < h.successRate {
		return http.StatusOK
	}
	return failures[h.random.IntN(len(failures))]
}

// refusal returns the status of a request that is none of ours, or 0. Such a request costs no token.
func refusal(w http.ResponseWriter, r *http.Request) int {
	if r.URL.Path != "/" {
		return http.StatusNotFound
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return http.StatusMethodNotAllowed
	}
	id, err := io.ReadAll(http.MaxBytesReader(w, r.Body, idLength))
	if err != nil || len(id) != idLength || !alphanumeric(id) {
		return http.StatusBadRequest
	}
	return 0
}

func alphanumeric(text []byte) bool {
	for _, c := range text {
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z') {
			return false
		}
	}
	return true
}
