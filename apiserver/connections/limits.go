package connections

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Limits bound the connections of a Pool.
type Limits struct {
	// Total is how many connections may be open.
	Total int
	// Unauthenticated is how many of them may have no authenticated request yet.
	Unauthenticated int
	// PerAddress is how many of those may come from one address. The addresses of
	// an IPv6 /64 are one address: a single host has all of them. Loopback is
	// exempt: proxies, tunnels and every local user share it.
	PerAddress int
	// Highest is the highest descriptor that a connection may have; 0 does not
	// look. The kernel gives the lowest free number, so a higher one means that
	// the process, whose other parts know nothing of this Pool, is nearly out of
	// descriptors.
	Highest int
}

const (
	// reserve is how many descriptors no connection counts on: etcd's segments and
	// database, listeners, sockets of containerd and netlink, files that are
	// followed. A server without nodes has about 30 open.
	reserve = 64
	// maxUnauthenticated bounds the memory of connections without credentials.
	maxUnauthenticated = 1024
	// unlimited stands in for RLIM_INFINITY.
	unlimited = 1 << 20
)

// ProcessLimits returns the Limits of a server with the process to itself, from
// RLIMIT_NOFILE. It changes no limit: the Go runtime raised the soft one to the
// hard one at the start of the process.
func ProcessLimits() (Limits, error) {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return Limits{}, fmt.Errorf("reading the limit of open files: %w", err)
	}
	return limitsOf(int(min(r.Cur, unlimited))), nil
}

// limitsOf divides the descriptors of a process. Connections get half of what is
// not reserved: a request for a log, a stream or a proxied service needs another
// descriptor or two, and etcd must find one whatever clients do.
func limitsOf(descriptors int) Limits {
	total := max((descriptors-reserve)/2, 8)
	unauthenticated := min(total/2, maxUnauthenticated)
	return Limits{
		Total: total, Unauthenticated: unauthenticated, PerAddress: max(unauthenticated/4, 2),
		Highest: descriptors - reserve/2,
	}
}

// Open returns the Limits of a port on which no client authenticates, with a
// share of l, which is the process's.
func (l Limits) Open() Limits {
	n := max(l.Unauthenticated/2, 4)
	return Limits{Total: n, Unauthenticated: n, PerAddress: max(n/4, 2), Highest: l.Highest}
}
