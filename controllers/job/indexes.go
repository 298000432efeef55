package job

import (
	"sort"
	"strconv"
	"strings"
)

// span is a range of completion indexes, both ends included.
type span struct{ first, last int }

// Indexes is a set of completion indexes: rising spans that do not touch.
type Indexes []span

// ParseIndexes reads "1,3-5,7" as far as it makes sense: what does not parse
// or is not below completions is left out.
func ParseIndexes(text string, completions int) Indexes {
	var all Indexes
	if text == "" {
		return nil
	}
	for _, part := range strings.Split(text, ",") {
		from, to, ranged := strings.Cut(part, "-")
		first, err := strconv.Atoi(from)
		if err != nil {
			continue
		}
		last := first
		if ranged {
			if last, err = strconv.Atoi(to); err != nil {
				continue
			}
		}
		if first >= completions {
			break
		}
		if first < 0 || last < first {
			continue
		}
		all = all.append(span{first, min(last, completions-1)})
	}
	return all
}

// append adds a span that does not begin before the last one.
func (x Indexes) append(s span) Indexes {
	if n := len(x); n > 0 && s.first <= x[n-1].last+1 {
		x[n-1].last = max(x[n-1].last, s.last)
		return x
	}
	return append(x, s)
}

// Union returns the indexes in either; neither is changed.
func (x Indexes) Union(y Indexes) Indexes {
	out := make(Indexes, 0, len(x)+len(y))
	for len(x) > 0 && len(y) > 0 {
		if x[0].first < y[0].first {
			out, x = out.append(x[0]), x[1:]
		} else {
			out, y = out.append(y[0]), y[1:]
		}
	}
	for _, s := range x {
		out = out.append(s)
	}
	for _, s := range y {
		out = out.append(s)
	}
	return out
}

// With returns the set with more indexes, in any order.
func (x Indexes) With(more []int) Indexes {
	if len(more) == 0 {
		return x
	}
	sorted := append([]int(nil), more...)
	sort.Ints(sorted)
	var y Indexes
	for _, i := range sorted {
		y = y.append(span{i, i})
	}
	return x.Union(y)
}

// Len returns the number of indexes.
func (x Indexes) Len() int {
	n := 0
	for _, s := range x {
		n += s.last - s.first + 1
	}
	return n
}

// Has reports whether i is in the set.
func (x Indexes) Has(i int) bool {
	at := sort.Search(len(x), func(k int) bool { return x[k].last >= i })
	return at < len(x) && x[at].first <= i
}

// Common returns the number of indexes in both.
func (x Indexes) Common(y Indexes) int {
	n := 0
	for len(x) > 0 && len(y) > 0 {
		n += max(0, min(x[0].last, y[0].last)-max(x[0].first, y[0].first)+1)
		if x[0].last < y[0].last {
			x = x[1:]
		} else {
			y = y[1:]
		}
	}
	return n
}

// FirstMissing returns up to n indexes below completions that are not in the set.
func (x Indexes) FirstMissing(n, completions int) []int {
	var out []int
	next := 0
	for _, s := range append(x[:len(x):len(x)], span{completions, completions}) {
		for ; next < min(s.first, completions) && len(out) < n; next++ {
			out = append(out, next)
		}
		next = max(next, s.last+1)
	}
	return out
}

// String returns the set as a Job's status has it: "1,3-5,7,8".
func (x Indexes) String() string {
	var b strings.Builder
	for _, s := range x {
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(s.first))
		if s.last == s.first {
			continue
		}
		separator := byte('-')
		if s.last == s.first+1 {
			separator = ','
		}
		b.WriteByte(separator)
		b.WriteString(strconv.Itoa(s.last))
	}
	return b.String()
}
