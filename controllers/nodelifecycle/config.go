package nodelifecycle

import (
	"time"
)

// Config has the knobs of node lifecycle; a zero field takes its default.
type Config struct {
	// GracePeriod is how long a node may be silent. Default 50 s.
	GracePeriod time.Duration
	// StartupGracePeriod is how long a new node may take to report anything at
	// all, from its creation. Default 60 s.
	StartupGracePeriod time.Duration
	// EvictionRate is the nodes per second of a healthy zone that get a
	// NoExecute taint. Default 0.1.
	EvictionRate float64
	// SecondaryEvictionRate is that of a large zone that is partially
	// disrupted. Default 0.01.
	SecondaryEvictionRate float64
	// LargeClusterSize is the number of nodes above which a zone is large.
	// Default 50.
	LargeClusterSize int
	// UnhealthyThreshold is the share of nodes, at least three, that must not
	// be ready for a zone to be partially disrupted. Default 0.55.
	UnhealthyThreshold float64
}

func (c Config) complete() Config {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&c.GracePeriod, 50*time.Second)
	def(&c.StartupGracePeriod, time.Minute)
	if c.EvictionRate == 0 {
		c.EvictionRate = 0.1
	}
	if c.SecondaryEvictionRate == 0 {
		c.SecondaryEvictionRate = 0.01
	}
	if c.LargeClusterSize == 0 {
		c.LargeClusterSize = 50
	}
	if c.UnhealthyThreshold == 0 {
		c.UnhealthyThreshold = 0.55
	}
	return c
}

func (c Config) rates() rates {
	return rates{
		primary: c.EvictionRate, secondary: c.SecondaryEvictionRate,
		threshold: c.UnhealthyThreshold, large: c.LargeClusterSize,
	}
}
