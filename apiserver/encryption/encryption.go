// Package encryption encrypts what is stored, by an EncryptionConfiguration:
// https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/.
//
// The API of this package is not stable: see docs/api.md.
package encryption

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/apiserver/pkg/server/options/encryptionconfig"
	"k8s.io/apiserver/pkg/server/options/encryptionconfig/metrics"
	"k8s.io/apiserver/pkg/storage/value"

	"github.com/coracle-k8s/coracle/apiserver/follow"
)

// Config locates the configuration.
type Config struct {
	// File is an EncryptionConfiguration.
	File string
	// Reload follows changes of File.
	Reload bool
	// ServerID distinguishes servers in metrics.
	ServerID string
	// Report is called with the error of a changed file that is not taken.
	Report func(error)
}

// Transformers encrypt and decrypt resources by the configuration in force.
type Transformers struct {
	config  Config
	content []byte
	current atomic.Pointer[generation]
	before  *generation // kept for what began with it
}

// generation is one content of the file; its connections to KMS plugins end
// with close.
type generation struct {
	*encryptionconfig.EncryptionConfiguration
	close context.CancelFunc
}

var _ value.ResourceTransformers = &Transformers{}

// Open reads the configuration. Connections to KMS plugins last until ctx is
// done.
func Open(ctx context.Context, c Config) (*Transformers, error) {
	content, err := os.ReadFile(c.File)
	if err != nil {
		return nil, fmt.Errorf("reading the encryption configuration: %w", err)
	}
	t := &Transformers{config: c, content: content}
	g, err := t.load(ctx)
	if err != nil {
		return nil, err
	}
	t.current.Store(g)
	return t, nil
}

func (t *Transformers) load(ctx context.Context) (*generation, error) {
	ctx, cancel := context.WithCancel(ctx)
	c, err := encryptionconfig.LoadEncryptionConfig(ctx, t.config.File, t.config.Reload, t.config.ServerID)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("loading the encryption configuration %s: %w", t.config.File, err)
	}
	return &generation{EncryptionConfiguration: c, close: cancel}, nil
}

// Run follows the file if it shall, until ctx is done. It returns nil.
func (t *Transformers) Run(ctx context.Context) error {
	if !t.config.Reload {
		return nil
	}
	metrics.RecordEncryptionConfigLastConfigInfo(t.config.ServerID, t.current.Load().EncryptionFileContentHash)
	follow.File(ctx, t.config.File, t.content, func([]byte) error {
		next, err := t.load(ctx)
		if err != nil {
			return err
		}
		// A configuration whose plugins do not answer must not replace one whose plugins do.
		if err := next.answers(ctx); err != nil {
			next.close()
			return err
		}
		if t.before != nil {
			t.before.close()
		}
		t.before = t.current.Swap(next)
		return nil
	}, func(_ []byte, err error) {
		if err != nil {
			metrics.RecordEncryptionConfigAutomaticReloadFailure(t.config.ServerID)
			t.config.Report(err)
			return
		}
		metrics.RecordEncryptionConfigAutomaticReloadSuccess(t.config.ServerID, t.current.Load().EncryptionFileContentHash)
	})
	return nil
}

// answers returns an error unless the KMS plugins answer.
func (g *generation) answers(ctx context.Context) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "/healthz", nil)
	if err != nil {
		return err
	}
	return g.check(r)
}

func (g *generation) check(r *http.Request) error {
	for _, c := range g.HealthChecks {
		if err := c.Check(r); err != nil {
			return err
		}
	}
	return nil
}

// HealthChecks check whether KMS plugins answer; none without plugins.
func (t *Transformers) HealthChecks() []healthz.HealthChecker {
	if !t.config.Reload {
		return t.current.Load().HealthChecks
	}
	return []healthz.HealthChecker{healthz.NamedCheck("kms-providers", func(r *http.Request) error { return t.current.Load().check(r) })}
}

// TransformerForResource implements value.ResourceTransformers. The result
// follows the file.
func (t *Transformers) TransformerForResource(gr schema.GroupResource) value.Transformer {
	return transformer{t, gr}
}

type transformer struct {
	of       *Transformers
	resource schema.GroupResource
}

func (t transformer) now() value.Transformer {
	return encryptionconfig.StaticTransformers(t.of.current.Load().Transformers).TransformerForResource(t.resource)
}

// TransformFromStorage implements value.Transformer.
func (t transformer) TransformFromStorage(ctx context.Context, data []byte, at value.Context) ([]byte, bool, error) {
	return t.now().TransformFromStorage(ctx, data, at)
}

// TransformToStorage implements value.Transformer.
func (t transformer) TransformToStorage(ctx context.Context, data []byte, at value.Context) ([]byte, error) {
	return t.now().TransformToStorage(ctx, data, at)
}
