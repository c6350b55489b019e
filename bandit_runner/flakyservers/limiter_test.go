package main

import (
	"math"
	"testing"
)

// integral is the slow way to what until promises: the midpoint rule over a rate.
func integral(rate func(time float64) float64, from, to float64) float64 {
	const steps = 100_000
	width := (to - from) / steps
	sum := 0.0
	for i := range steps {
		sum += rate(from + (float64(i)+0.5)*width)
	}
	return sum * width
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestBucketStartsFull(t *testing.T) {
	b := newBucket(limit{Burst: 3, Rate: constant(1)})
	for i, want := range []bool{true, true, true, false} {
		if got := b.take(0); got != want {
			t.Errorf("request %d at once: got %v, want %v", i, got, want)
		}
	}
}

func TestRefusalTakesNoToken(t *testing.T) {
	b := newBucket(limit{Burst: 1, Rate: constant(20)})
	b.take(0)
	for i := range 49 { // were a refusal to cost anything, no token would ever come
		if b.take(float64(i) / 1000) {
			t.Fatalf("accepted after %d ms", i)
		}
	}
	if !b.take(0.05) {
		t.Error("refused when a token was due")
	}
}

func TestBucketHasABrim(t *testing.T) {
	b := newBucket(limit{Burst: 2, Rate: constant(20)})
	accepted := 0
	for range 10 {
		if b.take(1e9) {
			accepted++
		}
	}
	if accepted != 2 {
		t.Errorf("accepted %d after a long rest, want the burst of 2", accepted)
	}
}

func TestBucketIgnoresTimeRunningBackwards(t *testing.T) {
	b := newBucket(limit{Burst: 1, Rate: constant(1)})
	if !b.take(10) || b.take(5) || b.take(10.5) || !b.take(11) {
		t.Error("a step back changed what is due")
	}
}

func TestSteadyLoadGetsTheMeanRate(t *testing.T) {
	b := newBucket(limit{Burst: 4, Rate: constant(2)})
	accepted := 0
	for i := range 10_000 { // 100 s at 100 requests per second
		if b.take(float64(i) / 100) {
			accepted++
		}
	}
	near(t, "accepted", float64(accepted), 4+2*100, 1)
}

func TestSinusoidIsTheIntegralOfItsRate(t *testing.T) {
	s := sinusoid(3, 0.9, 12, 1.5)
	rate := func(time float64) float64 { return 3 * (1 + 0.9*math.Sin(2*math.Pi*time/12+1.5)) }
	for _, span := range [][2]float64{{0, 1}, {0, 12}, {5, 29}, {1000, 1001.5}} {
		near(t, "tokens", s.until(span[1])-s.until(span[0]), integral(rate, span[0], span[1]), 1e-6)
	}
	near(t, "a whole period", s.until(12)-s.until(0), 36, 1e-9)
}

func TestJumpsAreTheIntegralOfTheirRate(t *testing.T) {
	j := jumps([2]float64{4, 0.5}, []float64{2, 1, 3, 4}) // a round is 10 s and 22.5 tokens
	for _, point := range [][2]float64{
		{0, 0}, {1, 4}, {2, 8}, {2.5, 8.25}, {3, 8.5}, {6, 20.5}, {10, 22.5}, // the first round
		{11, 26.5}, {12.5, 30.75}, {1003, 2258.5}, // and later ones
	} {
		near(t, "tokens", j.until(point[0]), point[1], 1e-9)
	}
}

func TestInflowNeverFalls(t *testing.T) {
	for _, limits := range []string{calibrated, hard} {
		for _, a := range draw(7, limits) {
			if a.Limit == nil {
				continue
			}
			last := a.Limit.Rate.until(0)
			for i := range 20_000 {
				flowed := a.Limit.Rate.until(float64(i) * 0.173)
				if flowed < last-slack {
					t.Fatalf("port %d: %v tokens after %v", a.Port, flowed, last)
				}
				last = flowed
			}
		}
	}
}
