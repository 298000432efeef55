package main

import (
	"context"
	"slices"
)

// compared is one line of output of a comparison. Value and Other are the medians of all runs with
// each binary, Ratio the first by the second: of times and sizes, less than 1 is better.
type compared struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Other float64 `json:"other"`
	Ratio float64 `json:"ratio"`
	Unit  string  `json:"unit"`
	Runs  int     `json:"runs"`
}

// values are those of one figure, by binary.
type values struct {
	unit string
	of   [2][]float64
}

// compare runs a scenario with both binaries in turn, so that what the machine does besides
// concerns both, and prints the ratio of their medians.
func (b *bench) compare(ctx context.Context, s scenario, other string, rounds int) error {
	var names []string
	figures := map[string]*values{}
	binaries := [2]string{b.binary, other}
	for round := range rounds {
		for turn := range binaries {
			side := (round + turn) % 2
			one := *b
			one.binary = binaries[side]
			one.keep = func(name, unit string, found []float64) {
				f := figures[name]
				if f == nil {
					f = &values{unit: unit}
					figures[name], names = f, append(names, name)
				}
				f.of[side] = append(f.of[side], found...)
			}
			if err := s.run(ctx, &one); err != nil {
				return err
			}
		}
	}
	for _, name := range names {
		f := figures[name]
		if len(f.of[0]) == 0 || len(f.of[1]) == 0 {
			continue // one of the binaries has no such figure
		}
		value, otherValue := median(f.of[0]), median(f.of[1])
		_ = b.out.Encode(compared{Name: name, Value: round(value), Other: round(otherValue), Ratio: round(value / otherValue), Unit: f.unit, Runs: len(f.of[0])})
	}
	return nil
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
