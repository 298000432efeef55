//go:build !linux

package main

import "time"

// processStart returns when the program could first look at the clock.
func processStart() time.Time { return time.Now() }
