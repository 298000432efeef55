package addresses

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// bindEarly lets a socket take an address that the network sets up later.
func bindEarly(_, _ string, raw syscall.RawConn) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_FREEBIND, 1)
	})
	return errors.Join(err, failed)
}
