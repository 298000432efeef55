package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/coracle-k8s/coracle/apiserver/datafile"
	"github.com/coracle-k8s/coracle/apiserver/etcd"
	"github.com/coracle-k8s/coracle/apiserver/pki"
	"github.com/coracle-k8s/coracle/cluster/datadir"
	"github.com/coracle-k8s/coracle/cluster/keys"
)

// identity distinguishes a file that was lost from one that was not made yet because the
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
type identity struct {
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

func (i identity) encode() []byte {
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

func readIdentity(path string) (identity, error) {
	i := identity{fingerprints: map[string]string{}}
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

// checkData returns an error for the first file of the data directory that this
// start cannot use and must not replace. It writes nothing.
func (c *Cluster) checkData() error {
	own := len(c.config.Storage.Endpoints) == 0
	if own { // else the keys are compared with those in etcd
		var err error
		if c.identity, err = readIdentity(c.path(datadir.IdentityFile)); err != nil {
			return err
		}
	}
	now := c.options.clock.Now()
	for _, dir := range keys.Authorities() {
		if err := c.checkDir(dir); err != nil {
			return err
		}
		if err := pki.Check(c.path(dir), now); err != nil {
			return err
		}
	}
	for _, name := range keys.Files() {
		if err := c.checkFile(name, own && etcd.Begun(c.path("etcd"))); err != nil {
			return err
		}
	}
	for _, name := range []string{"kubeconfig", keys.TokenFile} {
		if err := datafile.Check(c.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if own {
		return c.checkEtcd()
	}
	return nil
}

func (c *Cluster) checkDir(name string) error {
	if info, err := os.Stat(c.path(name)); err == nil && !info.IsDir() {
		return datafile.Lost(c.path(name), "is not a directory")
	}
	return nil
}

// checkFile compares a file with its fingerprint in the identity. Without one,
// an etcd that has begun means that the file had been there.
func (c *Cluster) checkFile(name string, begun bool) error {
	path := c.path(filepath.FromSlash(name))
	was, known := c.identity.fingerprints[name]
	data, err := datafile.Read(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		earlier := !c.identity.known && strings.HasPrefix(name, keys.NodeAuthority) // had none
		if known || begun && !c.identity.known && !earlier {
			return datafile.Lost(path, "is missing")
		}
		return nil
	case err != nil:
		return err
	case known && keys.Fingerprint(data) != was:
		return datafile.Lost(path, "is damaged or another cluster's: it is not the one in "+c.path(datadir.IdentityFile))
	}
	return nil
}

func (c *Cluster) checkEtcd() error {
	dir := c.path("etcd")
	switch {
	case c.identity.known && !c.identity.complete, !c.identity.known && !datafile.Exists(filepath.Join(dir, "member")):
		return nil
	case c.identity.known, etcd.Begun(dir):
		return etcd.Check(dir)
	}
	return datafile.Lost(c.path(datadir.IdentityFile), "is missing, and "+dir+" has no log")
}

// noteIdentity writes down what was made, before etcd begins, and removes an etcd
// that was not completed.
func (c *Cluster) noteIdentity() error {
	if len(c.config.Storage.Endpoints) > 0 {
		return nil
	}
	for _, name := range keys.Files() {
		data, err := datafile.Read(c.path(filepath.FromSlash(name)))
		if err != nil {
			return fmt.Errorf("noting the cluster's identity: %w", err)
		}
		c.identity.fingerprints[name] = keys.Fingerprint(data)
	}
	dir := c.path("etcd")
	switch {
	case c.identity.complete:
	case c.identity.known:
		if err := os.RemoveAll(filepath.Join(dir, "member")); err != nil {
			return fmt.Errorf("removing an etcd that was not completed: %w", err)
		}
	case etcd.Begun(dir): // it has a cluster, and checkEtcd found it whole
		c.options.progress(fmt.Sprintf("making %s, which is missing", c.path(datadir.IdentityFile)))
		c.identity.complete, c.identity.continued = true, true
	}
	return c.writeIdentity()
}

// noteComplete writes down that etcd has the cluster.
func (c *Cluster) noteComplete() error {
	if len(c.config.Storage.Endpoints) > 0 || c.identity.complete {
		return nil
	}
	c.identity.complete = true
	return c.writeIdentity()
}

// writeIdentity makes the files last before their names.
func (c *Cluster) writeIdentity() error {
	path, text := c.path(datadir.IdentityFile), c.identity.encode()
	if old, err := os.ReadFile(path); err == nil && string(old) == string(text) {
		return nil
	}
	for _, dir := range append(keys.Authorities(), "") {
		if err := datafile.SyncDir(c.path(dir)); err != nil {
			return fmt.Errorf("noting the cluster's identity: %w", err)
		}
	}
	err := datafile.Write(path, text)
	if err == nil {
		err = datafile.SyncDir(c.config.DataDir)
	}
	if err != nil {
		return fmt.Errorf("noting the cluster's identity: %w", err)
	}
	return nil
}
