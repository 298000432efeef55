package keys

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/coracle-k8s/coracle/apiserver/datafile"
	"github.com/coracle-k8s/coracle/apiserver/storage"
)

// TokenFile has the server token, in the data directory.
const TokenFile = "server-token"

// key is the key in etcd that holds the keys.
const key = storage.Prefix + "/coracle/keys"

// Config holds what it takes to share keys. All fields are required.
type Config struct {
	// Dir is the data directory.
	Dir string
	// Client reaches the etcd that servers share, Etcd names it for users.
	Client *clientv3.Client
	Etcd   string
	// Make makes the keys that are missing in Dir.
	Make func() error
}

// Share ensures that Dir has the keys of the cluster in etcd. If etcd has none yet, it gets
// those of Dir. An error with advice means that this server has no part in that cluster.
func Share(ctx context.Context, c Config) error {
	for {
		there, err := c.read(ctx)
		if err != nil {
			return err
		}
		local, err := c.local()
		if err != nil {
			return err
		}
		next, foreign := plan(there, local)
		if foreign != "" {
			return fmt.Errorf("the etcd at %s has a cluster with another %s than %s: use another etcd or, to be a server of that cluster, remove %s and copy the file %s of one of its servers to %s",
				c.Etcd, foreign, c.Dir, filepath.Join(c.Dir, "pki"), TokenFile, c.Dir)
		}
		switch next {
		case keep:
			return nil
		case fetch:
			if err := c.fetch(there); err != nil || there.complete() {
				return err
			}
			continue
		case extend:
			if _, err := c.open(there); err != nil {
				return err
			}
		}
		won, err := c.publish(ctx, there)
		if err != nil || won {
			return err
		}
		for _, name := range Files() { // those made just now are not the cluster's
			if _, before := local[name]; before {
				continue
			}
			if err := os.Remove(c.path(name)); err != nil {
				return fmt.Errorf("taking keys back: %w", err)
			}
		}
	}
}

func (c *Config) path(name string) string { return filepath.Join(c.Dir, filepath.FromSlash(name)) }

func (c *Config) read(ctx context.Context) (*record, error) {
	answer, err := c.Client.Get(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("reading the cluster's keys in etcd: %w", err)
	}
	if len(answer.Kvs) == 0 {
		return nil, nil
	}
	there := &record{}
	if err := json.Unmarshal(answer.Kvs[0].Value, there); err != nil {
		return nil, fmt.Errorf("decoding the cluster's keys in etcd: %w", err)
	}
	there.revision = answer.Kvs[0].ModRevision
	return there, nil
}

func (c *Config) local() (map[string][]byte, error) {
	local := map[string][]byte{}
	for _, name := range Files() {
		data, err := datafile.Read(c.path(name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading the server's keys: %w", err)
		}
		local[name] = data
	}
	return local, nil
}

// token returns the server token, empty if there is none.
func (c *Config) token() (string, error) {
	text, err := datafile.Read(c.path(TokenFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("reading the server token: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// open returns the files that etcd has.
func (c *Config) open(there *record) (map[string][]byte, error) {
	token, err := c.token()
	if err != nil {
		return nil, err
	}
	if token == "" {
		return nil, fmt.Errorf("the etcd at %s has a cluster whose keys %s does not have: copy the file %s of one of its servers there", c.Etcd, c.Dir, TokenFile)
	}
	all, err := there.open(token)
	if err != nil {
		return nil, fmt.Errorf("%s is not that of the cluster in the etcd at %s: copy the file of one of its servers there: %w", c.path(TokenFile), c.Etcd, err)
	}
	return all, nil
}

// fetch writes the files that etcd has.
func (c *Config) fetch(there *record) error {
	all, err := c.open(there)
	if err != nil {
		return err
	}
	for name, data := range all {
		if err := os.MkdirAll(filepath.Dir(c.path(name)), 0o700); err != nil {
			return fmt.Errorf("writing the cluster's keys: %w", err)
		}
		if err := datafile.Write(c.path(name), data); err != nil {
			return fmt.Errorf("writing the cluster's keys: %w", err)
		}
	}
	return nil
}

// publish puts the keys of Dir into etcd in place of what was read there, unless
// another server was quicker.
func (c *Config) publish(ctx context.Context, there *record) (won bool, err error) {
	if err := c.Make(); err != nil {
		return false, err
	}
	token, err := c.token()
	drawn := token == ""
	if err == nil && drawn {
		token = rand.Text()
		err = datafile.Write(c.path(TokenFile), []byte(token+"\n"))
	}
	if err != nil {
		return false, fmt.Errorf("making the server token: %w", err)
	}
	defer func() {
		if drawn && !won && err == nil { // it opens nothing
			err = os.Remove(c.path(TokenFile))
		}
	}()
	local, err := c.local()
	if err != nil {
		return false, err
	}
	r, err := newRecord(local, token)
	if err != nil {
		return false, err
	}
	text, err := json.Marshal(r)
	if err != nil {
		return false, fmt.Errorf("encoding the server's keys: %w", err)
	}
	unchanged := clientv3.Compare(clientv3.CreateRevision(key), "=", 0)
	if there != nil {
		unchanged = clientv3.Compare(clientv3.ModRevision(key), "=", there.revision)
	}
	answer, err := c.Client.Txn(ctx).If(unchanged).Then(clientv3.OpPut(key, string(text))).Commit()
	if err != nil {
		return false, fmt.Errorf("sharing the server's keys through etcd: %w", err)
	}
	return answer.Succeeded, nil
}
