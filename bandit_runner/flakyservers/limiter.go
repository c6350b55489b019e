package main

import (
	"math"
	"sort"
)

// A limit is a token bucket whose inflow may change with time. Time is in seconds since the program's start, tokens are
// requests. The exported fields are what -truth tells.
type limit struct {
	Burst int    `json:"burst"` // what the bucket holds; it starts full
	Rate  inflow `json:"rate"`
}

// An inflow says how many tokens have flowed by a time, were there no brim: an integral in closed form, so that nothing
// depends on how often a bucket is looked at. It never falls.
type inflow interface {
	until(time float64) float64
}

// slack forgives the rounding of the integrals: a token that is due now is there.
const slack = 1e-9

// A bucket is the state of a limit.
type bucket struct {
	limit
	tokens float64
	last   float64 // when tokens was right
}

func newBucket(l limit) *bucket { return &bucket{limit: l, tokens: float64(l.Burst)} }

// take takes a token at a time, if there is one. A refusal takes nothing.
func (b *bucket) take(now float64) bool {
	if now > b.last {
		flowed := b.Rate.until(now) - b.Rate.until(b.last)
		b.tokens = min(float64(b.Burst), b.tokens+flowed)
		b.last = now
	}
	if b.tokens < 1-slack {
		return false
	}
	b.tokens--
	return true
}

type constantRate struct {
	Shape string  `json:"shape"`
	Mean  float64 `json:"mean"` // tokens per second
}

func constant(mean float64) constantRate { return constantRate{"constant", mean} }

func (c constantRate) until(time float64) float64 { return c.Mean * time }

// sinusoidRate is mean * (1 + amplitude * sin(2 pi time / period + phase)), amplitude below 1.
type sinusoidRate struct {
	Shape     string  `json:"shape"`
	Mean      float64 `json:"mean"`
	Amplitude float64 `json:"amplitude"`
	Period    float64 `json:"period"` // seconds
	Phase     float64 `json:"phase"`  // radians
}

func sinusoid(mean, amplitude, period, phase float64) sinusoidRate {
	return sinusoidRate{"sinusoid", mean, amplitude, period, phase}
}

func (s sinusoidRate) until(time float64) float64 {
	omega := 2 * math.Pi / s.Period
	return s.Mean * (time + s.Amplitude/omega*(math.Cos(s.Phase)-math.Cos(omega*time+s.Phase)))
}

// jumpRate stays at its two levels by turns, for the times in Stays, and begins again when those are used up.
type jumpRate struct {
	Shape  string     `json:"shape"`
	Levels [2]float64 `json:"levels"` // tokens per second; the first one is where it starts
	Stays  []float64  `json:"stays"`  // seconds

	ends   []float64 // when each stay ends within a round
	flowed []float64 // tokens by then
}

// jumps needs an even number of stays: a round must end at the second level, for the next to start at the first.
func jumps(levels [2]float64, stays []float64) jumpRate {
	j := jumpRate{Shape: "jumps", Levels: levels, Stays: stays}
	var end, flowed float64
	for i, stay := range stays {
		end += stay
		flowed += stay * levels[i%2]
		j.ends = append(j.ends, end)
		j.flowed = append(j.flowed, flowed)
	}
	return j
}

func (j jumpRate) until(time float64) float64 {
	final := len(j.Stays) - 1
	rounds, rest := math.Floor(time/j.ends[final]), math.Mod(time, j.ends[final])
	i := min(sort.SearchFloat64s(j.ends, rest), final) // the stay that rest falls into
	return rounds*j.flowed[final] + j.flowed[i] - (j.ends[i]-rest)*j.Levels[i%2]
}
