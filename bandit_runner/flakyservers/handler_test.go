package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

const goodID = "aZ09bcdefghijklmnopqrstu"

// certain is a handler that always succeeds and never refuses, at a time that stands still.
func certain() *handler {
	return newHandler(arm{Port: 4000, SuccessRate: 1}, 1, func() float64 { return 0 })
}

func status(h http.Handler, method, target string, body io.Reader) int {
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, httptest.NewRequest(method, target, body))
	return recorder.Code
}

func TestRequestsThatAreNoneOfOurs(t *testing.T) {
	for _, c := range []struct {
		method, target, body string
		want                 int
	}{
		{"POST", "/", goodID, 200},
		{"POST", "/?x=1", goodID, 200},
		{"POST", "/", "", 400},
		{"POST", "/", goodID[1:], 400},
		{"POST", "/", goodID + "x", 400},
		{"POST", "/", strings.Repeat("x", 1<<20), 400},
		{"POST", "/", goodID[1:] + "\n", 400},
		{"POST", "/", goodID[1:] + "-", 400},
		{"POST", "/", goodID[2:] + "é", 400}, // a letter, and 24 bytes
		{"POST", "/", goodID[1:] + "\x00", 400},
		{"POST", "/x", goodID, 404},
		{"GET", "/x", "", 404},
		{"GET", "/", "", 405},
		{"PUT", "/", goodID, 405},
		{"HEAD", "/", "", 405},
		{"OPTIONS", "/", "", 405},
	} {
		if got := status(certain(), c.method, c.target, strings.NewReader(c.body)); got != c.want {
			t.Errorf("%s %s with %d bytes: got %d, want %d", c.method, c.target, len(c.body), got, c.want)
		}
	}
}

// cutOff is a body whose sender goes away after some bytes.
type cutOff struct{ rest string }

func (c *cutOff) Read(p []byte) (int, error) {
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	if n == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	return n, nil
}

func TestACutOffBodyIsBad(t *testing.T) {
	if got := status(certain(), "POST", "/", &cutOff{goodID}); got != 400 {
		t.Errorf("got %d", got)
	}
}

func TestABadRequestCostsNoToken(t *testing.T) {
	h := newHandler(arm{Port: 5000, SuccessRate: 1, Limit: &limit{Burst: 1, Rate: constant(20)}}, 1, func() float64 { return 0 })
	for i, c := range []struct {
		body string
		want int
	}{{"bad", 400}, {goodID, 200}, {goodID, 429}, {"bad", 400}} {
		if got := status(h, "POST", "/", strings.NewReader(c.body)); got != c.want {
			t.Errorf("request %d: got %d, want %d", i, got, c.want)
		}
	}
}

func TestOutcomesFollowTheRate(t *testing.T) {
	h := newHandler(arm{Port: 4000, SuccessRate: 0.7}, 1, func() float64 { return 0 })
	counts := map[int]int{}
	for range 10_000 {
		counts[h.attempt()]++
	}
	near(t, "200", float64(counts[200]), 7000, 185) // four standard deviations, here and below
	for _, failure := range []int{500, 502, 503} {
		near(t, http.StatusText(failure), float64(counts[failure]), 1000, 120)
	}
	if counts[200]+counts[500]+counts[502]+counts[503] != 10_000 {
		t.Errorf("other answers: %v", counts)
	}
}
