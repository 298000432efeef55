//go:build !linux

package addresses

import "syscall"

// bindEarly changes nothing: addresses are there before the server.
func bindEarly(_, _ string, _ syscall.RawConn) error { return nil }
