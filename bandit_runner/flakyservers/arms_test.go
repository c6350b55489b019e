package main

import (
	"bytes"
	"encoding/json"
	"testing"
)

func TestSuccessRatesFillTheirRange(t *testing.T) {
	sum, n := 0.0, 0
	lowest, highest := 1.0, 0.0
	for seed := range uint64(100) {
		for _, a := range draw(seed, calibrated) {
			sum, n = sum+a.SuccessRate, n+1
			lowest, highest = min(lowest, a.SuccessRate), max(highest, a.SuccessRate)
		}
	}
	if lowest < lowestRate || lowest > 0.285 || highest > highestRate || highest < 0.975 {
		t.Errorf("3000 rates lie between %v and %v", lowest, highest)
	}
	near(t, "mean", sum/float64(n), (lowestRate+highestRate)/2, 0.015) // four standard errors
}

func TestASeedMeansTheSameRatesUnderAllLimits(t *testing.T) {
	easy, difficult := draw(5, calibrated), draw(5, hard)
	for i := range easy {
		if easy[i].SuccessRate != difficult[i].SuccessRate {
			t.Errorf("port %d differs", easy[i].Port)
		}
	}
}

func TestASeedMeansTheSameArms(t *testing.T) {
	text := func(seed uint64) []byte {
		line, err := json.Marshal(draw(seed, hard))
		if err != nil {
			t.Fatal(err)
		}
		return line
	}
	if !bytes.Equal(text(9), text(9)) {
		t.Error("one seed, two results")
	}
	if bytes.Equal(text(9), text(10)) {
		t.Error("two seeds, one result")
	}
}

func TestLimitsOfTheTiers(t *testing.T) {
	for _, a := range draw(3, calibrated) {
		switch a.Tier {
		case "T1":
			if a.Limit != nil {
				t.Errorf("port %d is limited", a.Port)
			}
		case "T2":
			if a.Limit.Burst != 1 || a.Limit.Rate != constant(20) {
				t.Errorf("port %d: %+v", a.Port, a.Limit)
			}
		case "T3":
			if s, ok := a.Limit.Rate.(sinusoidRate); !ok || a.Limit.Burst != 1 || s.Mean != 20 || s.Period < 8 || s.Period > 40 {
				t.Errorf("port %d: %+v", a.Port, a.Limit)
			}
		}
	}
}

func TestHardLimitsOfTheTiers(t *testing.T) {
	for _, a := range draw(3, hard) {
		switch {
		case a.Tier == "T1":
			if a.Limit != nil {
				t.Errorf("port %d is limited", a.Port)
			}
		case a.Tier == "T2":
			if c, ok := a.Limit.Rate.(constantRate); !ok || c.Mean < 0.8 || c.Mean > 3.2 || a.Limit.Burst > 4 {
				t.Errorf("port %d: %+v", a.Port, a.Limit)
			}
		case a.Port%2 == 0:
			if s, ok := a.Limit.Rate.(sinusoidRate); !ok || s.Mean < 0.8 || s.Mean > 3.2 || s.Amplitude != 0.9 {
				t.Errorf("port %d: %+v", a.Port, a.Limit)
			}
		default:
			j, ok := a.Limit.Rate.(jumpRate)
			if !ok || a.Limit.Burst > 3 || len(j.Stays)%2 != 0 || j.Levels[0]+j.Levels[1] != 4.3 {
				t.Fatalf("port %d: %+v", a.Port, a.Limit)
			}
			near(t, "mean stay", j.ends[len(j.ends)-1]/float64(len(j.Stays)), meanDwell, 3) // four standard errors
		}
	}
}
