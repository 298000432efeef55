// Package identity checks that the files of a cluster's data directory belong together, and
// refuses to start a cluster that has lost some of them.
//
// The API of this package is not stable: see docs/api.md.
package identity

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/coracle-k8s/coracle/apiserver/datafile"
	"github.com/coracle-k8s/coracle/apiserver/etcd"
	"github.com/coracle-k8s/coracle/apiserver/pki"
	"github.com/coracle-k8s/coracle/cluster/datadir"
	"github.com/coracle-k8s/coracle/cluster/keys"
)

// Config describes a data directory.
type Config struct {
	// Dir is the data directory.
	Dir string
	// OwnEtcd is set if the cluster has its own etcd, in Dir. Otherwise the keys are compared with
	// those in etcd, see package keys.
	OwnEtcd bool
	// Now is the time at which certificates must be valid.
	Now time.Time
	// Report is called with what was missing and is made again.
	Report func(string)
}

// Identity distinguishes a file that was lost from one that was not made yet because the
// first start was interrupted. A cluster with its own etcd keeps it in datadir.IdentityFile.
//
// Invariants:
//
//  1. The files are written and named in it before etcd writes anything. So a
//     file in it that is missing is lost, and so is a directory of etcd's without
//     it.
//  2. It is complete only after etcd has the cluster's first objects, and before
//     the kubeconfig is there. If it is complete, missing files of etcd are lost or
//     damaged. If not, no client could have written to etcd, which is begun again.
type Identity struct {
	config Config
	record
}

// record is the content of datadir.IdentityFile.
type record struct {
	// known is set if there was a file.
	known bool
	// fingerprints are those of the files, by name.
	fingerprints map[string]string
	complete     bool
	// continued is set if it was complete at the start.
	continued bool
}

// identityHead is the first line of datadir.IdentityFile, completeLine marks that it is
// complete, sumPrefix begins the last line.
const identityHead, completeLine, sumPrefix = "coracle identity 1", "complete", "sum "

func (i record) encode() []byte {
	lines := []string{identityHead}
	for _, name := range keys.Files() {
		if sum, has := i.fingerprints[name]; has {
			lines = append(lines, name+" "+sum)
		}
	}
	if i.complete {
		lines = append(lines, completeLine)
	}
	text := strings.Join(lines, "\n") + "\n"
	return []byte(text + sumPrefix + keys.Fingerprint([]byte(text)) + "\n")
}

func read(path string) (record, error) {
	i := record{fingerprints: map[string]string{}}
	data, err := datafile.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return i, nil
	}
	if err != nil {
		return i, err
	}
	text, sum, ok := strings.Cut(string(data), sumPrefix)
	if !ok || !strings.HasPrefix(text, identityHead+"\n") || sum != keys.Fingerprint([]byte(text))+"\n" {
		return i, datafile.Lost(path, "is damaged")
	}
	i.known = true
	for line := range strings.Lines(text) {
		name, sum, isFile := strings.Cut(strings.TrimSpace(line), " ")
		i.complete = i.complete || name == completeLine
		if isFile && slices.Contains(keys.Files(), name) {
			i.fingerprints[name] = sum
		}
	}
	i.continued = i.complete
	return i, nil
}

// Check reads the identity of a data directory. It returns an error for the first file that
// a start cannot use and must not replace. It writes nothing.
func Check(c Config) (*Identity, error) {
	i := &Identity{config: c}
	if c.OwnEtcd {
		var err error
		if i.record, err = read(i.path(datadir.IdentityFile)); err != nil {
			return nil, err
		}
	}
	for _, dir := range keys.Authorities() {
		if err := i.checkDir(dir); err != nil {
			return nil, err
		}
		if err := pki.Check(i.path(dir), c.Now); err != nil {
			return nil, err
		}
	}
	for _, name := range keys.Files() {
		if err := i.checkFile(name, c.OwnEtcd && etcd.Begun(i.path("etcd"))); err != nil {
			return nil, err
		}
	}
	for _, name := range []string{"kubeconfig", keys.TokenFile} {
		if err := datafile.Check(i.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	if c.OwnEtcd {
		return i, i.checkEtcd()
	}
	return i, nil
}

func (i *Identity) path(elements ...string) string {
	return filepath.Join(append([]string{i.config.Dir}, elements...)...)
}

// Continued reports whether the cluster was complete before this start.
func (i *Identity) Continued() bool { return i.continued }

func (i *Identity) checkDir(name string) error {
	if info, err := os.Stat(i.path(name)); err == nil && !info.IsDir() {
		return datafile.Lost(i.path(name), "is not a directory")
	}
	return nil
}

// checkFile compares a file with its fingerprint. Without one,
// an etcd that has begun means that the file had been there.
func (i *Identity) checkFile(name string, begun bool) error {
	path := i.path(filepath.FromSlash(name))
	was, known := i.fingerprints[name]
	data, err := datafile.Read(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		earlier := !i.known && strings.HasPrefix(name, keys.NodeAuthority) // had none
		if known || begun && !i.known && !earlier {
			return datafile.Lost(path, "is missing")
		}
		return nil
	case err != nil:
		return err
	case known && keys.Fingerprint(data) != was:
		return datafile.Lost(path, "is damaged or another cluster's: it is not the one in "+i.path(datadir.IdentityFile))
	}
	return nil
}

func (i *Identity) checkEtcd() error {
	dir := i.path("etcd")
	switch {
	case i.known && !i.complete, !i.known && !datafile.Exists(filepath.Join(dir, "member")):
		return nil
	case i.known, etcd.Begun(dir):
		return etcd.Check(dir)
	}
	return datafile.Lost(i.path(datadir.IdentityFile), "is missing, and "+dir+" has no log")
}

// WriteFingerprints records the files of keys.Files, before etcd begins, and removes an etcd
// that was not completed.
func (i *Identity) WriteFingerprints() error {
	if !i.config.OwnEtcd {
		return nil
	}
	for _, name := range keys.Files() {
		data, err := datafile.Read(i.path(filepath.FromSlash(name)))
		if err != nil {
			return fmt.Errorf("noting the cluster's identity: %w", err)
		}
		i.fingerprints[name] = keys.Fingerprint(data)
	}
	dir := i.path("etcd")
	switch {
	case i.complete:
	case i.known:
		if err := os.RemoveAll(filepath.Join(dir, "member")); err != nil {
			return fmt.Errorf("removing an etcd that was not completed: %w", err)
		}
	case etcd.Begun(dir): // it has a cluster, and checkEtcd found it whole
		i.config.Report(fmt.Sprintf("making %s, which is missing", i.path(datadir.IdentityFile)))
		i.complete, i.continued = true, true
	}
	return i.write()
}

// WriteComplete records that etcd has the cluster.
func (i *Identity) WriteComplete() error {
	if !i.config.OwnEtcd || i.complete {
		return nil
	}
	i.complete = true
	return i.write()
}

// write makes the files last before their names.
func (i *Identity) write() error {
	path, text := i.path(datadir.IdentityFile), i.encode()
	if old, err := os.ReadFile(path); err == nil && string(old) == string(text) {
		return nil
	}
	for _, dir := range append(keys.Authorities(), "") {
		if err := datafile.SyncDir(i.path(dir)); err != nil {
			return fmt.Errorf("noting the cluster's identity: %w", err)
		}
	}
	err := datafile.Write(path, text)
	if err == nil {
		err = datafile.SyncDir(i.config.Dir)
	}
	if err != nil {
		return fmt.Errorf("noting the cluster's identity: %w", err)
	}
	return nil
}
