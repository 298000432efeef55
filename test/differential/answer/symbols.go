// Package answer compares two servers' answers to the same request. Values that
// servers choose themselves, such as UIDs and times, become a symbol that
// stands for the value of either, so that later requests may name it.
package answer

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"time"
)

// Pair is one value of each server: upstream's, and Coracle's.
type Pair [2]string

// Symbols are those of one sequence of requests. A symbol has the form of what
// it stands for, so that an object with symbols can be decoded and changed.
type Symbols struct {
	values map[string]Pair      // by symbol
	known  [2]map[string]string // value -> symbol, for each server
	names  []string             // symbols of generated names
	n      int
	born   time.Time
}

// NewSymbols returns symbols of a sequence that begins now.
func NewSymbols(now time.Time) *Symbols {
	return &Symbols{values: map[string]Pair{}, known: [2]map[string]string{{}, {}}, born: now}
}

// The forms of symbols.
const (
	uidForm     = "00000000-0000-4000-8000-%012d"
	versionForm = "77%010d"
	nameForm    = "zz%05dzz"
	opaqueForm  = "opaque-%09d"
)

var (
	symbol   = regexp.MustCompile(`00000000-0000-4000-8000-\d{12}|77\d{10}|zz\d{5}zz|opaque-\d{9}|21\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z|198\.(18|19)\.\d+\.\d+|"nodePort":4\d{4}|"healthCheckNodePort":4\d{4}`)
	uuid     = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	stamp    = regexp.MustCompile(`20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( \+0000 UTC|Z)?`)
	address  = regexp.MustCompile(`10\.\d+\.\d+\.\d+`)
	selfType = regexp.MustCompile(`selfType\d+`) // of a rule in CEL, with a number from the clock
	expired  = regexp.MustCompile(`too old resource version: \d+ \(\d+\)`)
	inRecord = regexp.MustCompile(`in record \(\d+\)`) // which a controller may have changed
	current  = regexp.MustCompile(`current: \d+`)
	// A changed request may have its version under the key x.
	version  = regexp.MustCompile(`(?i)(resource ?version(?: in [a-z ]+)?[^0-9a-z]{0,20}|\bmap\[x:|\\"x\\*":\\*")(\d+)((?:\.\d+)*)\b`)
	number   = regexp.MustCompile(`\b\d{3,}\b`)
	port     = regexp.MustCompile(`\b3[0-2]\d{3}\b`)
	zero     = time.Date(2101, 1, 1, 0, 0, 0, 0, time.UTC)
	services = netip.MustParsePrefix("10.0.0.0/8") // of any ServiceCIDR
)

// For replaces the symbols in text by the values of one server.
func (s *Symbols) For(side int, text string) string {
	return symbol.ReplaceAllStringFunc(text, func(sym string) string {
		if pair, ok := s.values[sym]; ok {
			return pair[side]
		}
		return sym
	})
}

// define returns the symbol of a pair of values, made by form from a number.
func (s *Symbols) define(pair Pair, form func(n int) string) string {
	if sym, ok := s.known[0][pair[0]]; ok && s.known[1][pair[1]] == sym {
		return sym
	}
	s.n++
	sym := form(s.n)
	s.values[sym] = pair
	for side := range pair {
		s.known[side][pair[side]] = sym
	}
	return sym
}

// Opaque returns a symbol for what each server only understands itself.
func (s *Symbols) Opaque(upstream, ours string) string {
	s.n++
	sym := fmt.Sprintf(opaqueForm, s.n)
	s.values[sym] = Pair{upstream, ours}
	return sym
}

// version returns the symbol of resource versions: the same one as long as both
// are unchanged. agree is false if only one has changed.
func (s *Symbols) version(pair Pair) (sym string, agree bool) {
	u, o := s.known[0]["v"+pair[0]], s.known[1]["v"+pair[1]]
	if u != "" && u == o {
		return u, true
	}
	s.n++
	sym = fmt.Sprintf(versionForm, s.n)
	s.values[sym] = pair
	s.known[0]["v"+pair[0]], s.known[1]["v"+pair[1]] = sym, sym
	return sym, u == "" && o == ""
}

// Version returns a fresh symbol for the version of a list.
func (s *Symbols) Version(upstream, ours string) string {
	s.n++
	sym := fmt.Sprintf(versionForm, s.n)
	s.values[sym] = Pair{upstream, ours}
	return sym
}

// now reports whether a time was made while these servers run.
func (s *Symbols) now(text string) bool {
	t, err := time.Parse(time.RFC3339, text)
	return err == nil && t.After(s.born.Add(-time.Hour)) && t.Before(s.born.Add(48*time.Hour))
}

// value returns the symbol for two different strings that mean the same, and
// whether they do.
func (s *Symbols) value(u, o string) (string, bool) {
	switch {
	case uuid.FindString(u) == u && uuid.FindString(o) == o && u != "":
		return s.same(Pair{u, o}, func(n int) string { return fmt.Sprintf(uidForm, n) })
	case s.now(u) && s.now(o) && strings.Contains(u, ".") == strings.Contains(o, "."):
		s.n++
		sym := zero.Add(time.Duration(s.n) * time.Second).Format(time.RFC3339)
		if strings.Contains(u, ".") {
			sym = strings.TrimSuffix(sym, "Z") + ".000000Z"
		}
		s.values[sym] = Pair{u, o}
		return sym, true
	case inServices(u) && inServices(o):
		return s.same(Pair{u, o}, func(n int) string { return fmt.Sprintf("198.%d.%d.%d", 18+n>>16&1, n>>8&255, n&255) })
	}
	if stamp.FindString(u) == u && stamp.FindString(o) == o {
		return u, false // of no server's clock
	}
	a, b := s.abstract(0, u), s.abstract(1, o)
	return a, a == b
}

// same defines a symbol unless one of the values has another already.
func (s *Symbols) same(pair Pair, form func(int) string) (string, bool) {
	u, o := s.known[0][pair[0]], s.known[1][pair[1]]
	if u != o {
		return pair[0], false
	}
	return s.define(pair, form), true
}

// Name defines the symbol of a generated name.
func (s *Symbols) Name(prefix, upstream, ours string) string {
	pair := Pair{strings.TrimPrefix(upstream, prefix), strings.TrimPrefix(ours, prefix)}
	sym := s.define(pair, func(n int) string { return fmt.Sprintf(nameForm, n%100000) })
	if len(s.names) == 0 || s.names[len(s.names)-1] != sym {
		s.names = append(s.names, sym)
	}
	return prefix + sym
}

// abstract replaces what is one server's by what it stands for.
func (s *Symbols) abstract(side int, text string) string {
	known := func(prefix, other string) func(string) string {
		return func(v string) string {
			if sym, ok := s.known[side][prefix+v]; ok {
				return sym
			}
			if other != "" {
				return other
			}
			return v
		}
	}
	text = selfType.ReplaceAllString(text, "selfType")
	text = uuid.ReplaceAllStringFunc(text, known("", "UID"))
	for _, sym := range s.names {
		text = strings.ReplaceAll(text, s.values[sym][side], sym)
	}
	text = stamp.ReplaceAllString(text, "TIME")
	text = current.ReplaceAllString(text, "current: VERSION")
	text = expired.ReplaceAllString(text, "too old resource version: VERSION (VERSION)")
	text = inRecord.ReplaceAllString(text, "in record (VERSION)")
	text = address.ReplaceAllStringFunc(text, known("", ""))
	text = port.ReplaceAllStringFunc(text, known("p", ""))
	return version.ReplaceAllStringFunc(text, func(found string) string {
		parts := version.FindStringSubmatch(found)
		if parts[3] != "" { // a client's own
			return found
		}
		return parts[1] + known("v", "VERSION")(parts[2]) // a controller's, if no answer had it
	})
}

// versions replaces resource versions under any key: a changed request may have one
// anywhere, and a message shows it.
func (s *Symbols) versions(side int, text string) string {
	return number.ReplaceAllStringFunc(text, func(v string) string {
		if sym, ok := s.known[side]["v"+v]; ok {
			return sym
		}
		return v
	})
}

func inServices(text string) bool {
	ip, err := netip.ParseAddr(text)
	return err == nil && services.Contains(ip)
}
