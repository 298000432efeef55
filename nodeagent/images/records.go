package images

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
)

// records remembers with whose credentials images were pulled, so that a pod without them
// cannot use an image because another pod has it on the node. The kubelet does the same under
// its default policy NeverVerifyPreloadedImages, see
// https://kubernetes.io/docs/concepts/containers/images/#ensureimagepullcredentialverification.
//
// Invariants:
//
//  1. From the begin of a pull until its record is written there is a file that
//     marks it. An image under such a name counts as pulled, with credentials that
//     are not known: a crash never makes it look as if it had been preloaded.
//  2. A record that cannot be read gives no access.
type records struct {
	dir string

	mu sync.Mutex
	// pulling counts the pulls that run, by image; unsure are images of which an
	// earlier pull may have ended either way.
	pulling map[string]int
	unsure  map[string]bool
}

// record lists the credentials with which an image may be used. Repositories
// have no tag and no digest.
type record struct {
	ImageRef string                `json:"imageRef"`
	Updated  time.Time             `json:"updated"`
	Access   map[string]credential `json:"access,omitempty"`
}

// credential holds what a repository's images were pulled with.
type credential struct {
	// Everyone is set if no credentials were needed.
	Everyone bool         `json:"everyone,omitempty"`
	Secrets  []pullSecret `json:"secrets,omitempty"`
}

// pullSecret identifies a login in a Secret. The hash is that of the login.
type pullSecret struct {
	UID       types.UID `json:"uid"`
	Namespace string    `json:"namespace"`
	Name      string    `json:"name"`
	Hash      string    `json:"hash"`
}

func (s pullSecret) same(o pullSecret) bool {
	return s.UID == o.UID && s.Namespace == o.Namespace && s.Name == o.Name
}

// maxSecrets bounds what a record learns from pods that use an image without
// pulling it.
const maxSecrets = 100

// newRecords keeps records below dir, which need not exist.
func newRecords(dir string) *records {
	return &records{dir: dir, pulling: map[string]int{}, unsure: map[string]bool{}}
}

// begin notes that the image is about to be pulled. Nothing may be pulled if it fails.
func (r *records) begin(image string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pulling[image] == 0 && r.began(image) {
		r.unsure[image] = true // an earlier life of the process began it
	}
	if err := write(r.intent(image), image); err != nil {
		return fmt.Errorf("failed to record image pull intent: %w", err)
	}
	r.pulling[image]++
	return nil
}

// failed ends a pull. unsure is set if it may have brought the image nevertheless.
func (r *records) failed(image string, unsure bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if unsure {
		r.unsure[image] = true
	}
	return r.end(image)
}

func (r *records) end(image string) error {
	if r.pulling[image]--; r.pulling[image] > 0 {
		return nil
	}
	delete(r.pulling, image)
	if r.unsure[image] {
		return nil
	}
	if err := os.Remove(r.intent(image)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing an image pull intent: %w", err)
	}
	return nil
}

// began reports whether a pull of the image was begun and has not ended for sure.
func (r *records) began(image string) bool {
	_, err := os.Lstat(r.intent(image))
	return !errors.Is(err, fs.ErrNotExist)
}

// pulled ends a pull of an image that the runtime calls ref. The secret may use
// it, or every pod if by is nil.
func (r *records) pulled(image, repository, ref string, by *pullSecret, now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.add(repository, ref, by, now); err != nil {
		return err
	}
	delete(r.unsure, image)
	return r.end(image)
}

func (r *records) add(repository, ref string, by *pullSecret, now time.Time) error {
	rec, err := r.read(ref)
	if err != nil || rec == nil {
		rec = &record{ImageRef: ref}
	}
	if rec.Access == nil {
		rec.Access = map[string]credential{}
	}
	switch c := rec.Access[repository]; {
	case c.Everyone:
		return nil
	case by == nil:
		rec.Access[repository] = credential{Everyone: true}
	case slices.Contains(c.Secrets, *by):
		return nil
	default:
		c.Secrets = append(slices.DeleteFunc(c.Secrets, by.same), *by)
		rec.Access[repository] = c
	}
	rec.Updated = now
	if err := write(r.file(ref), rec); err != nil {
		return fmt.Errorf("writing an image pull record: %w", err)
	}
	return nil
}

// mustPull reports whether a pod needs to pull the image, which the runtime has
// as ref and under the names, to show that it may use it. secrets lists the pod's
// logins for it; it is asked only if that decides.
func (r *records) mustPull(repository, ref string, names []string, secrets func() ([]pullSecret, error), now time.Time) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec, err := r.read(ref)
	if err != nil {
		return true, nil
	}
	if rec == nil {
		return slices.ContainsFunc(names, r.began), nil
	}
	access := rec.Access[repository]
	if access.Everyone || len(access.Secrets) == 0 {
		return !access.Everyone, nil
	}
	mine, err := secrets()
	if err != nil {
		return true, err
	}
	for _, s := range mine {
		for _, known := range access.Secrets {
			if s.Hash != known.Hash && !s.same(known) {
				continue
			}
			if s == known {
				return false, nil
			}
			if len(access.Secrets) < maxSecrets {
				// If this fails, it is learned at the next use.
				_ = r.add(repository, ref, &s, now)
				return false, nil
			}
			if s.Hash == known.Hash {
				return false, nil
			}
		}
	}
	return true, nil
}

// prune forgets images that the node does not have. Records written since the
// images were listed stay.
func (r *records) prune(refs sets.Set[string], listed time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	entries, err := os.ReadDir(filepath.Join(r.dir, "pulled"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("listing image pull records: %w", err)
	}
	for _, e := range entries {
		path := filepath.Join(r.dir, "pulled", e.Name())
		rec, err := readRecord(path)
		if err != nil || rec == nil || refs.Has(rec.ImageRef) || !rec.Updated.Before(listed) {
			continue
		}
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("removing an image pull record: %w", err)
		}
	}
	return nil
}

func (r *records) intent(image string) string {
	return filepath.Join(r.dir, "pulling", fileName(image))
}
func (r *records) file(ref string) string { return filepath.Join(r.dir, "pulled", fileName(ref)) }

func (r *records) read(ref string) (*record, error) { return readRecord(r.file(ref)) }

// readRecord returns nil if there is none.
func readRecord(path string) (*record, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading an image pull record: %w", err)
	}
	rec := &record{}
	if err := json.Unmarshal(b, rec); err != nil {
		return nil, fmt.Errorf("parsing %s: %w", path, err)
	}
	return rec, nil
}

func fileName(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256-" + hex.EncodeToString(sum[:])
}

// write replaces a file at once; its contents are on the disk when it returns.
func write(path string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	// Calls are serialized by the records' lock, so one name suffices.
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
