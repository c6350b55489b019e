package main

import (
	"math"
	"math/rand/v2"
)

const (
	calibrated = "calibrated" // what the original's logs show
	hard       = "hard"       // limits that bite at ten requests per second

	serversPerTier = 10
	lowestRate     = 0.28 // success rates are uniform between these two: the prior that fits 130 server-starts best
	highestRate    = 0.98
	dwells         = 128 // a schedule of jumps repeats after this many stays, about 17 minutes; even, to end as it began
	meanDwell      = 8.0 // seconds
)

// An arm is one server as it was drawn: all that a simulator needs to know of it.
type arm struct {
	Tier        string  `json:"tier"`
	Port        int     `json:"port"`
	SuccessRate float64 `json:"success_rate"`
	Limit       *limit  `json:"limit"` // nil: none
}

var tiers = []struct {
	name      string
	firstPort int
	drawLimit func(random *rand.Rand, limits string, index int) *limit
}{
	{"T1", 4000, func(*rand.Rand, string, int) *limit { return nil }},
	{"T2", 5000, constantLimit},
	{"T3", 6000, changingLimit},
}

// draw returns the thirty arms of a seed, in the order of their ports.
func draw(seed uint64, limits string) []arm {
	var arms []arm
	for _, tier := range tiers {
		for index := range serversPerTier {
			port := tier.firstPort + index
			random := stream(seed, port, drawing)
			// The success rate comes first, so that a seed means the same rates under all limits.
			rate := uniform(random, lowestRate, highestRate)
			arms = append(arms, arm{tier.name, port, rate, tier.drawLimit(random, limits, index)})
		}
	}
	return arms
}

// The purposes that a server's random numbers are kept apart for: what is drawn at the start must not depend on traffic.
const (
	drawing = iota
	answering
)

// stream returns the random numbers of one server for one purpose.
func stream(seed uint64, port, purpose int) *rand.Rand {
	return rand.New(rand.NewPCG(seed, uint64(port)<<8|uint64(purpose)))
}

func constantLimit(random *rand.Rand, limits string, _ int) *limit {
	mean, burst := bucketSize(random, limits)
	return &limit{Burst: burst, Rate: constant(mean)}
}

// changingLimit is a sinusoid; of the hard ones, those on odd ports jump instead.
func changingLimit(random *rand.Rand, limits string, index int) *limit {
	if limits == hard && index%2 == 1 {
		return jumpingLimit(random)
	}
	mean, burst := bucketSize(random, limits)
	return &limit{Burst: burst, Rate: sinusoid(mean, 0.9, uniform(random, 8, 40), uniform(random, 0, 2*math.Pi))}
}

func jumpingLimit(random *rand.Rand) *limit {
	burst := 1 + random.IntN(3)
	levels := [2]float64{4, 0.3}
	if random.IntN(2) == 1 {
		levels[0], levels[1] = levels[1], levels[0]
	}
	stays := make([]float64, dwells)
	for i := range stays {
		// Whole milliseconds, to keep the line of truth short; never zero.
		stays[i] = math.Ceil(random.ExpFloat64()*meanDwell*1000) / 1000
	}
	return &limit{Burst: burst, Rate: jumps(levels, stays)}
}

// bucketSize returns tokens per second and the number of tokens that a full bucket holds.
func bucketSize(random *rand.Rand, limits string) (mean float64, burst int) {
	if limits == calibrated {
		return 20, 1
	}
	return uniform(random, 0.8, 3.2), 1 + random.IntN(4)
}

func uniform(random *rand.Rand, low, high float64) float64 {
	return low + (high-low)*random.Float64()
}
