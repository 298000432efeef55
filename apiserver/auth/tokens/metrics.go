package tokens

import "k8s.io/component-base/metrics"

// uses counts the uses of tokens under upstream's names
// (pkg/serviceaccount/metrics.go).
type uses struct {
	legacy, stale, manual, generated, invalidated, valid *metrics.Counter
}

// newUses registers the counters; without a registry they count nothing.
func newUses(register func(...metrics.Registerable)) uses {
	counter := func(name, help string, level metrics.StabilityLevel) *metrics.Counter {
		c := metrics.NewCounter(&metrics.CounterOpts{Subsystem: "serviceaccount", Name: name, Help: help, StabilityLevel: level})
		if register != nil {
			register(c)
		}
		return c
	}
	return uses{
		legacy:      counter("legacy_tokens_total", "Cumulative legacy service account tokens used", metrics.BETA),
		stale:       counter("stale_tokens_total", "Cumulative stale projected service account tokens used", metrics.BETA),
		manual:      counter("legacy_manual_token_uses_total", "Cumulative manually created legacy tokens used", metrics.ALPHA),
		generated:   counter("legacy_auto_token_uses_total", "Cumulative auto-generated legacy tokens used", metrics.ALPHA),
		invalidated: counter("invalid_legacy_auto_token_uses_total", "Cumulative invalid auto-generated legacy tokens used", metrics.ALPHA),
		valid:       counter("valid_tokens_total", "Cumulative valid projected service account tokens used", metrics.BETA),
	}
}
