package service

import (
	"errors"
	"fmt"
	"math/big"
	"math/bits"
	"net/netip"
)

// Why a number cannot be had. The words are upstream's: they end up in answers
// to users.
var (
	errFull       = errors.New("range is full")
	errAllocated  = errors.New("provided IP is already allocated")
	errMismatched = errors.New("the provided network does not match the current range")
	errPortTaken  = errors.New("provided port is already allocated")
)

// pool hands out the numbers 0 to size-1. Numbers below reserved are given automatically
// only when no other is left, so that they stay free for clients that ask for a certain one.
type pool struct {
	size, reserved int
	used           []uint64
	// random returns a number in [0,n).
	random func(n int) int
}

func newPool(size, reserved int, random func(int) int) *pool {
	return &pool{size: size, reserved: min(reserved, size), used: make([]uint64, (size+63)/64), random: random}
}

func (p *pool) has(i int) bool { return p.used[i/64]&(1<<(i%64)) != 0 }

// take takes a certain number, false if it is taken.
func (p *pool) take(i int) bool {
	if p.has(i) {
		return false
	}
	p.used[i/64] |= 1 << (i % 64)
	return true
}

func (p *pool) free(i int) { p.used[i/64] &^= 1 << (i % 64) }

// next takes any free number, false if there is none.
func (p *pool) next() (int, bool) {
	for _, r := range [][2]int{{p.reserved, p.size}, {0, p.reserved}} {
		from, to := r[0], r[1]
		if from == to {
			continue
		}
		start := from + p.random(to-from)
		for _, half := range [][2]int{{start, to}, {from, start}} {
			if i, ok := p.clear(half[0], half[1]); ok {
				p.take(i)
				return i, true
			}
		}
	}
	return 0, false
}

// clear finds the first free number in [from,to), a word at a time.
func (p *pool) clear(from, to int) (int, bool) {
	for i := from; i < to; {
		word := ^p.used[i/64] >> (i % 64)
		if word == 0 {
			i = (i/64 + 1) * 64
			continue
		}
		i += bits.TrailingZeros64(word)
		return i, i < to
	}
	return 0, false
}

// maxAddresses bounds the pool of a very large range.
const maxAddresses = 1 << 20

// addresses are the ClusterIPs of one range, without its network address and,
// in IPv4, its broadcast address.
type addresses struct {
	prefix netip.Prefix
	*pool
}

func newAddresses(cidr string, random func(int) int) (*addresses, error) {
	prefix, err := netip.ParsePrefix(cidr)
	if err != nil {
		return nil, fmt.Errorf("reading the range of cluster IPs: %w", err)
	}
	prefix = prefix.Masked()
	hostBits := prefix.Addr().BitLen() - prefix.Bits()
	size := maxAddresses
	if hostBits < 20 {
		size = 1<<hostBits - 1
		if prefix.Addr().Is4() {
			size--
		}
	}
	if size < 1 {
		return nil, fmt.Errorf("reading the range of cluster IPs: %s is too small", cidr)
	}
	// https://kubernetes.io/docs/concepts/services-networking/cluster-ip-allocation/
	reserved := min(max(16, size/16), 256)
	if size <= reserved {
		reserved = 0
	}
	return &addresses{prefix: prefix, pool: newPool(size, reserved, random)}, nil
}

// at returns the i-th address.
func (a *addresses) at(i int) netip.Addr {
	base := a.prefix.Addr()
	n := new(big.Int).SetBytes(base.AsSlice())
	n.Add(n, big.NewInt(int64(i)+1))
	buf := make([]byte, base.BitLen()/8)
	addr, _ := netip.AddrFromSlice(n.FillBytes(buf))
	return addr
}

// index reverses at; it returns false outside of the range.
func (a *addresses) index(ip netip.Addr) (int, bool) {
	if !a.prefix.Contains(ip) {
		return 0, false
	}
	n := new(big.Int).SetBytes(ip.AsSlice())
	n.Sub(n, new(big.Int).SetBytes(a.prefix.Addr().AsSlice()))
	if !n.IsInt64() || n.Int64() < 1 || n.Int64() > int64(a.size) {
		return 0, false
	}
	return int(n.Int64()) - 1, true
}
