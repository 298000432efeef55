// Package keys gives all servers of a cluster that share an etcd the same authorities and keys.
//
// The first one keeps its keys in etcd too, sealed with the server token, a secret in
// its data directory. A server whose data directory has that token, and nothing else,
// gets them from there; one that has other keys is refused, before it writes anything.
//
// Invariants:
//
//  1. etcd has either no keys or all of them, and they never change. A later version
//     may add some to those of an earlier one; then the first of the servers with
//     the token that is of the later version does.
//  2. A key in a data directory is never replaced by another one.
//  3. Without the token, what is in etcd reveals only whether a key is the same.
//
// The API of this package is not stable: see docs/api.md.
package keys

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"slices"
)

// former is a file that records of earlier versions have besides.
const former = "agent-token"

// NodeAuthority is the directory of the authority that signs what agents serve
// with, below the data directory. Data directories of earlier versions have none.
const NodeAuthority = "pki/node-ca"

// Authorities returns the directories of a cluster's certificate authorities,
// below the data directory.
func Authorities() []string { return []string{"pki", "pki/front-proxy", NodeAuthority} }

// Files returns what makes a cluster the one it is, and what its servers have in
// common, below their data directories.
func Files() []string {
	var names []string
	for _, dir := range Authorities() {
		names = append(names, dir+"/ca.crt", dir+"/ca.key")
	}
	return append(names, "pki/service-account.key")
}

// Fingerprint distinguishes keys and certificates, however they are written.
func Fingerprint(data []byte) string {
	if block, _ := pem.Decode(data); block != nil {
		data = block.Bytes
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// record holds what etcd has.
type record struct {
	// Fingerprints of all files, by name.
	Fingerprints map[string]string `json:"fingerprints"`
	// Sealed are all files.
	Sealed []byte `json:"sealed"`

	// revision is etcd's.
	revision int64
}

// step is an action on the keys.
type step int

const (
	keep    step = iota // they are what they must be
	publish             // etcd has none: make what is missing, and publish
	fetch               // some are only in etcd
	extend              // etcd lacks some that are new in this version: make those, and publish
)

// plan returns what a server with the files in local does, given what etcd has, or
// which of its files is another cluster's.
func plan(there *record, local map[string][]byte) (next step, foreign string) {
	if there == nil {
		return publish, ""
	}
	next = keep
	for _, name := range Files() {
		data, has := local[name]
		switch want, known := there.Fingerprints[name]; {
		case !known:
			if next == keep {
				next = extend
			}
		case !has: // before anything is added to what is there
			next = fetch
		case Fingerprint(data) != want:
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
		r.Fingerprints[name] = Fingerprint(data)
	}
	var err error
	r.Sealed, err = seal(local, token)
	return r, err
}

// complete reports whether a record has every file.
func (r *record) complete() bool {
	return !slices.ContainsFunc(Files(), func(name string) bool { return r.Fingerprints[name] == "" })
}

// open returns the files in a record, those named in its fingerprints.
func (r *record) open(token string) (map[string][]byte, error) {
	all, err := unseal(r.Sealed, token)
	if err != nil {
		return nil, err
	}
	delete(all, former)
	for name, data := range all {
		if !slices.Contains(Files(), name) || Fingerprint(data) != r.Fingerprints[name] {
			return nil, fmt.Errorf("%s is not what it was", name)
		}
	}
	for name := range r.Fingerprints {
		if _, has := all[name]; !has {
			return nil, fmt.Errorf("%s is missing", name)
		}
	}
	return all, nil
}
