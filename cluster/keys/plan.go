// Package keys gives all servers of a cluster that share an etcd the same
// authorities and keys.
//
// The first one keeps its keys in etcd too, sealed with the server token, a secret
// in its data directory. A server whose data directory has that token, and nothing
// else, gets them from there; one that has other keys is refused, before it writes
// anything.
//
// Invariants:
//
//  1. etcd has either no keys or all of them, and they never change.
//  2. A key in a data directory is never replaced by another one.
//  3. Without the token, what is in etcd tells nothing but whether a key is
//     the same.
package keys

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"slices"
)

// agentToken is what agents join any server with.
const agentToken = "agent-token"

// Authorities returns the directories of a cluster's certificate authorities,
// below the data directory.
func Authorities() []string { return []string{"pki", "pki/front-proxy"} }

// Files returns what makes a cluster the one it is, and what its servers have in
// common, below their data directories. The last one may differ where servers got
// the others by hand.
func Files() []string {
	var names []string
	for _, dir := range Authorities() {
		names = append(names, dir+"/ca.crt", dir+"/ca.key")
	}
	return append(names, "pki/service-account.key", agentToken)
}

// Fingerprint tells keys and certificates apart, however they are written.
func Fingerprint(data []byte) string {
	if block, _ := pem.Decode(data); block != nil {
		data = block.Bytes
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// record is what etcd has.
type record struct {
	// Fingerprints of all files but the last, by name.
	Fingerprints map[string]string `json:"fingerprints"`
	// Sealed are all files.
	Sealed []byte `json:"sealed"`
}

// step is what to do about the keys.
type step int

const (
	keep    step = iota // they are what they must be
	publish             // etcd has none: make what is missing, and tell
	fetch               // some are only in etcd
)

// plan says what a server with the files in local does, given what etcd has, or
// which of its files is another cluster's.
func plan(there *record, local map[string][]byte) (next step, foreign string) {
	if there == nil {
		return publish, ""
	}
	next = keep
	for _, name := range Files() {
		if name == agentToken {
			continue
		}
		switch data, has := local[name]; {
		case !has:
			next = fetch
		case Fingerprint(data) != there.Fingerprints[name]:
			return keep, name
		}
	}
	return next, ""
}

func newRecord(local map[string][]byte, token string) (*record, error) {
	r := &record{Fingerprints: map[string]string{}}
	for _, name := range Files() {
		data, has := local[name]
		if !has {
			return nil, fmt.Errorf("sharing keys: there is no %s", name)
		}
		if name != agentToken {
			r.Fingerprints[name] = Fingerprint(data)
		}
	}
	var err error
	r.Sealed, err = seal(local, token)
	return r, err
}

// open returns the files in a record, which are those that it tells of.
func (r *record) open(token string) (map[string][]byte, error) {
	all, err := unseal(r.Sealed, token)
	if err != nil {
		return nil, err
	}
	for name, data := range all {
		if !slices.Contains(Files(), name) || name != agentToken && Fingerprint(data) != r.Fingerprints[name] {
			return nil, fmt.Errorf("%s is not what it was", name)
		}
	}
	return all, nil
}
