package answer

import (
	"fmt"
	"os"
	"regexp"
	"sync/atomic"

	"sigs.k8s.io/yaml"
)

// Rule explains differences that are there on purpose. Empty patterns match all.
type Rule struct {
	// Reason names why the servers differ.
	Reason string `json:"reason"`
	// Request matches "METHOD PATH".
	Request string `json:"request,omitempty"`
	// Query matches the encoded parameters.
	Query string `json:"query,omitempty"`
	// At, Upstream and Ours match the fields of a Difference.
	At       string `json:"at,omitempty"`
	Upstream string `json:"upstream,omitempty"`
	Ours     string `json:"ours,omitempty"`

	patterns [5]*regexp.Regexp
	used     atomic.Int64
}

// Explained is the list of rules.
type Explained []*Rule

// ReadExplained reads the list from a YAML file.
func ReadExplained(file string) (Explained, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the explained differences: %w", err)
	}
	var rules Explained
	if err := yaml.UnmarshalStrict(data, &rules); err != nil {
		return nil, fmt.Errorf("reading the explained differences: %w", err)
	}
	for _, r := range rules {
		if r.Reason == "" {
			return nil, fmt.Errorf("reading the explained differences: a rule for %q at %q has no reason", r.Request, r.At)
		}
		for i, pattern := range []string{r.Request, r.Query, r.At, r.Upstream, r.Ours} {
			if r.patterns[i], err = regexp.Compile("(?s)^(?:" + pattern + ")$"); err != nil {
				return nil, fmt.Errorf("reading the explained differences: %w", err)
			}
			if pattern == "" {
				r.patterns[i] = nil
			}
		}
	}
	return rules, nil
}

// Unexplained returns the differences that no rule matches. request is "METHOD PATH",
// query its encoded parameters.
func (e Explained) Unexplained(request, query string, differences []Difference) (out []Difference) {
	for _, d := range differences {
		if !e.explains(request, query, d) {
			out = append(out, d)
		}
	}
	return out
}

func (e Explained) explains(request, query string, d Difference) bool {
	for _, r := range e {
		matches := true
		for i, value := range []string{request, query, d.At, d.Upstream, d.Ours} {
			matches = matches && (r.patterns[i] == nil || r.patterns[i].MatchString(value))
		}
		if matches {
			r.used.Add(1)
			return true
		}
	}
	return false
}

// Used returns how many differences each rule has explained.
func (e Explained) Used() map[*Rule]int64 {
	out := map[*Rule]int64{}
	for _, r := range e {
		out[r] = r.used.Load()
	}
	return out
}
