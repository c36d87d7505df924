//go:build linux

package main

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// samples are the costs of one command, one of each round.
type samples []cost

func (s samples) wall() []float64  { return pick(s, func(c cost) float64 { return ms(c.Wall) }) }
func (s samples) cpu() []float64   { return pick(s, func(c cost) float64 { return ms(c.CPU) }) }
func (s samples) first() []float64 { return pick(s, func(c cost) float64 { return ms(c.First) }) }
func (s samples) last() []float64  { return pick(s, func(c cost) float64 { return ms(c.Last) }) }
func (s samples) faults() []float64 {
	return pick(s, func(c cost) float64 { return float64(c.Faults) })
}

func pick(s samples, of func(cost) float64) []float64 {
	all := make([]float64, len(s))
	for i, c := range s {
		all[i] = of(c)
	}
	return all
}

func median(all []float64) float64 { return percentileOf(all, 50) }

// percentileOf is that of values in any order.
func percentileOf[T cmp.Ordered](all []T, percent int) T {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[min(len(sorted)*percent/100, len(sorted)-1)]
}

// long is a duration as it is written in prose: 100 ms, 5 s, 4 min.
func long(d duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d >= time.Hour && d%time.Hour == 0:
		return fmt.Sprintf("%d h", d/time.Hour)
	case d >= 2*time.Minute:
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
	return fmt.Sprintf("%.0f s", d.Seconds())
}

// estimate is a figure, and the interval that has 95 % of what the same rounds give when
// they are drawn again.
type estimate struct{ value, low, high float64 }

func (e estimate) String() string { return fmt.Sprintf("%.2f (%.2f-%.2f)", e.value, e.low, e.high) }

// times is how much more a adds to bare than b does: a ratio of what medians of rounds
// have over bare's median. Rounds are drawn whole, as what disturbs one command of a round
// is likely to disturb its neighbours.
func times(a, b, bare []float64) estimate {
	added := func(a, b, bare []float64) float64 {
		base := median(bare)
		return (median(a) - base) / (median(b) - base)
	}
	const draws = 1000
	random := rand.New(rand.NewPCG(1, 2)) // the same rounds give the same interval
	drawn := make([]float64, draws)
	x, y, z := make([]float64, len(a)), make([]float64, len(a)), make([]float64, len(a))
	for i := range drawn {
		for j := range a {
			k := random.IntN(len(a))
			x[j], y[j], z[j] = a[k], b[k], bare[k]
		}
		drawn[i] = added(x, y, z)
	}
	slices.Sort(drawn)
	return estimate{added(a, b, bare), drawn[draws*25/1000], drawn[draws*975/1000]}
}
