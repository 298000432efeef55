package batch

import (
	"fmt"
	"strconv"
	"strings"
)

// interval is a range of completion indexes, both ends included.
type interval struct{ first, last int32 }

// parseIntervals reads "1,3-5,7": rising indexes below completions.
func parseIntervals(text string, completions int32) ([]interval, error) {
	if text == "" {
		return nil, nil
	}
	var list []interval
	for _, part := range strings.Split(text, ",") {
		in, err := parseInterval(part, completions)
		if err != nil {
			return nil, err
		}
		if n := len(list); n > 0 && list[n-1].last >= in.first {
			return nil, fmt.Errorf("non-increasing order, previous: %d, current: %d", list[n-1].last, in.first)
		}
		list = append(list, in)
	}
	return list, nil
}

func parseInterval(text string, completions int32) (interval, error) {
	limits := strings.Split(text, "-")
	if len(limits) > 2 {
		return interval{}, fmt.Errorf("the fragment %q violates the requirement that an index interval can have at most two parts separated by '-'", text)
	}
	var ends [2]int32
	for i, limit := range limits {
		n, err := strconv.Atoi(limit)
		if err != nil {
			return interval{}, fmt.Errorf("cannot convert string to integer for index: %q", limit)
		}
		if n >= int(completions) {
			return interval{}, fmt.Errorf("too large index: %q", limit)
		}
		ends[i] = int32(n)
	}
	if len(limits) == 1 {
		return interval{ends[0], ends[0]}, nil
	}
	if ends[0] >= ends[1] {
		return interval{}, fmt.Errorf("non-increasing order, previous: %d, current: %d", ends[0], ends[1])
	}
	return interval{ends[0], ends[1]}, nil
}

// overlap finds the first index in both lists; fragments that do not parse
// are reported elsewhere.
func overlap(a, b string, completions int32) error {
	x, y := parsable(a, completions), parsable(b, completions)
	for len(x) > 0 && len(y) > 0 {
		if x[0].first <= y[0].last && y[0].first <= x[0].last {
			return fmt.Errorf("failedIndexes and completedIndexes overlap at index: %d", max(x[0].first, y[0].first))
		}
		if x[0].first <= y[0].first {
			x = x[1:]
		} else {
			y = y[1:]
		}
	}
	return nil
}

func parsable(text string, completions int32) []interval {
	var list []interval
	for _, part := range strings.Split(text, ",") {
		if in, err := parseInterval(part, completions); err == nil {
			list = append(list, in)
		}
	}
	return list
}
