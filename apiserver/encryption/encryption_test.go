package encryption_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"go.uber.org/goleak"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/storage/value"
	"k8s.io/kms/pkg/service"

	"github.com/coracle-k8s/coracle/apiserver/encryption"
)

// world is a configuration in force and its file.
type world struct {
	t    *testing.T
	path string
	*encryption.Transformers
	refused chan error
	stop    func()
}

// providers returns a configuration for secrets with providers in this order.
func providers(list ...string) string {
	return "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources: [secrets]\n  providers: [" + strings.Join(list, ", ") + "]\n"
}

// keyed returns a provider with a key of 32 bytes, made from the key's name.
func keyed(provider string, names ...string) string {
	var keys []string
	for _, name := range names {
		secret := base64.StdEncoding.EncodeToString([]byte((name + strings.Repeat("-", 32))[:32]))
		keys = append(keys, fmt.Sprintf("{name: %s, secret: %s}", name, secret))
	}
	return fmt.Sprintf("{%s: {keys: [%s]}}", provider, strings.Join(keys, ", "))
}

const identity = "{identity: {}}"

func open(t *testing.T, config string) *world {
	t.Helper()
	w := &world{t: t, path: filepath.Join(t.TempDir(), "encryption.yaml"), refused: make(chan error, 10)}
	w.write(config)
	ctx, cancel := context.WithCancel(t.Context())
	var err error
	w.Transformers, err = encryption.Open(ctx, encryption.Config{File: w.path, Reload: true, ServerID: "test", Report: func(err error) { w.refused <- err }})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = w.Run(ctx)
	}()
	w.stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	t.Cleanup(w.stop)
	return w
}

// write replaces the file at once, as upstream requires.
func (w *world) write(config string) {
	w.t.Helper()
	if err := os.WriteFile(w.path+".new", []byte(config), 0o600); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Rename(w.path+".new", w.path); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) transformer() value.Transformer {
	return w.TransformerForResource(schema.GroupResource{Resource: "secrets"})
}

// place returns the authenticated key of a stored object.
func place() value.Context { return value.DefaultContext("/registry/secrets/default/s") }

func (w *world) store(text string) []byte {
	w.t.Helper()
	data, err := w.transformer().TransformToStorage(w.t.Context(), []byte(text), place())
	if err != nil {
		w.t.Fatal(err)
	}
	return data
}

func (w *world) read(data []byte) (text string, stale bool, err error) {
	out, stale, err := w.transformer().TransformFromStorage(w.t.Context(), data, place())
	return string(out), stale, err
}

func TestProviders(t *testing.T) {
	for name, c := range map[string]struct{ provider, prefix string }{
		"aescbc":    {keyed("aescbc", "one"), "k8s:enc:aescbc:v1:one:"},
		"aesgcm":    {keyed("aesgcm", "one"), "k8s:enc:aesgcm:v1:one:"},
		"secretbox": {keyed("secretbox", "one"), "k8s:enc:secretbox:v1:one:"},
		"identity":  {identity, "in the clear"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			w := open(t, providers(c.provider))
			data := w.store("in the clear")
			g.Expect(string(data)).To(HavePrefix(c.prefix))
			if name != "identity" {
				g.Expect(string(data)).NotTo(ContainSubstring("clear"))
			}
			text, stale, err := w.read(data)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(text).To(Equal("in the clear"))
			g.Expect(stale).To(BeFalse())
			if name == "identity" {
				return
			}
			data[len(data)-1] ^= 1
			if text, _, err := w.read(data); err == nil {
				g.Expect(text).NotTo(Equal("in the clear"), "what was tampered with")
			}
			// Resources that are not in the list stay as they are.
			plain, err := w.TransformerForResource(schema.GroupResource{Resource: "pods"}).TransformToStorage(t.Context(), []byte("pod"), place())
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(string(plain)).To(Equal("pod"))
		})
	}
}

// TestRotation goes the way of upstream's guide: a second key to read with,
// then to write with, then alone.
func TestRotation(t *testing.T) {
	for _, provider := range []string{"aescbc", "aesgcm", "secretbox"} {
		t.Run(provider, func(t *testing.T) {
			g := NewWithT(t)
			w := open(t, providers(identity, keyed(provider, "old")))
			g.Expect(string(w.store("zero"))).To(Equal("zero"))
			writes := func(prefix string) func() string {
				return func() string { return string(w.store("x"))[:min(len(w.store("x")), len(prefix))] }
			}
			wait := func(config, prefix string) {
				w.write(config)
				g.Eventually(writes(prefix)).WithTimeout(20*time.Second).Should(Equal(prefix), "the changed file is in force")
			}
			old, new := "k8s:enc:"+provider+":v1:old:", "k8s:enc:"+provider+":v1:new:"
			wait(providers(keyed(provider, "old"), identity), old)
			first := w.store("first")
			text, stale, err := w.read([]byte("zero"))
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(text).To(Equal("zero"))
			g.Expect(stale).To(BeTrue(), "what is in the clear is written again")

			wait(providers(keyed(provider, "new", "old")), new)
			text, stale, err = w.read(first)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(text).To(Equal("first"))
			g.Expect(stale).To(BeTrue(), "what an old key has hidden is written again")

			second := w.store("second")
			w.write(providers(keyed(provider, "new")))
			g.Eventually(func() error { _, _, err := w.read(first); return err }).WithTimeout(20*time.Second).Should(HaveOccurred(), "the old key is gone")
			text, stale, err = w.read(second)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(text).To(Equal("second"))
			g.Expect(stale).To(BeFalse())
		})
	}
}

func TestABadFileChangesNothing(t *testing.T) {
	g := NewWithT(t)
	w := open(t, providers(keyed("secretbox", "one")))
	w.write(providers("{boat: {}}"))
	g.Eventually(w.refused).WithTimeout(20 * time.Second).Should(Receive(MatchError(ContainSubstring("boat"))))
	g.Expect(string(w.store("x"))).To(HavePrefix("k8s:enc:secretbox:v1:one:"))
}

// vault is a KMS plugin: it hides by its key's name and a look in the mirror.
type vault struct {
	mu  sync.Mutex
	key string
	bad error
}

func (v *vault) now() (string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.key, v.bad
}

func (v *vault) set(key string, bad error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.key, v.bad = key, bad
}

func (v *vault) Status(context.Context) (*service.StatusResponse, error) {
	key, err := v.now()
	return &service.StatusResponse{Version: "v2", Healthz: "ok", KeyID: key}, err
}

func (v *vault) Encrypt(_ context.Context, _ string, data []byte) (*service.EncryptResponse, error) {
	key, err := v.now()
	return &service.EncryptResponse{Ciphertext: flipped(data), KeyID: key, Annotations: map[string][]byte{"vault.example.com": []byte(key)}}, err
}

func (v *vault) Decrypt(_ context.Context, _ string, r *service.DecryptRequest) ([]byte, error) {
	_, err := v.now()
	if err == nil && string(r.Annotations["vault.example.com"]) != r.KeyID {
		err = fmt.Errorf("the key %s did not hide this", r.KeyID)
	}
	return flipped(r.Ciphertext), err
}

func flipped(data []byte) []byte {
	out := make([]byte, len(data))
	for i, b := range data {
		out[i] = ^b
	}
	return out
}

// serve runs a plugin on a socket until the test ends.
func serve(t *testing.T, v *vault) (provider string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "kms") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "kms.sock")
	s := service.NewGRPCService(socket, 5*time.Second, v)
	ended := make(chan error, 1)
	go func() { ended <- s.ListenAndServe() }()
	NewWithT(t).Eventually(func() error { _, err := os.Stat(socket); return err }).WithTimeout(20*time.Second).Should(Succeed(), "the plugin listens")
	t.Cleanup(func() {
		s.Close()
		if err := <-ended; err != nil {
			t.Errorf("serving as a KMS plugin: %v", err)
		}
		_ = os.RemoveAll(dir)
	})
	return fmt.Sprintf("{kms: {apiVersion: v2, name: vault, endpoint: 'unix://%s', timeout: 5s}}", socket)
}

func (w *world) healthy() error {
	for _, c := range w.HealthChecks() {
		if err := c.Check(httptest.NewRequest(http.MethodGet, "/readyz", nil)); err != nil {
			return err
		}
	}
	return nil
}

func TestKMS(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, ignore) })
	g := NewWithT(t)
	v := &vault{key: "key-1"}
	provider := serve(t, v)
	w := open(t, providers(provider, identity))
	g.Expect(w.HealthChecks()).NotTo(BeEmpty())
	g.Expect(w.healthy()).To(Succeed())
	data := w.store("hidden")
	g.Expect(string(data)).To(HavePrefix("k8s:enc:kms:v2:vault:"))
	g.Expect(string(data)).NotTo(ContainSubstring("hidden"))
	text, stale, err := w.read(data)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(text).To(Equal("hidden"))
	g.Expect(stale).To(BeFalse())
	text, stale, err = w.read([]byte("from before"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(text).To(Equal("from before"))
	g.Expect(stale).To(BeTrue())

	// A restarted server has the plugin decrypt what is stored.
	w.stop()
	again := open(t, providers(provider))
	text, _, err = again.read(data)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(text).To(Equal("hidden"))
	again.stop()

	// A server that starts after the plugin changed its key has it encrypted again.
	v.set("key-2", nil)
	later := open(t, providers(provider))
	text, stale, err = later.read(data)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(text).To(Equal("hidden"))
	g.Expect(stale).To(BeTrue())

	later.stop()

	// A server whose plugin is ill is not ready until it is well.
	v.set("key-2", fmt.Errorf("the vault is closed"))
	patient := open(t, providers(provider))
	g.Expect(patient.healthy()).To(MatchError(ContainSubstring("vault")))
	v.set("key-2", nil)
	g.Eventually(patient.healthy).WithTimeout(30 * time.Second).Should(Succeed())
	patient.stop()
}

// TestKMSThatDoesNotAnswer is not taken over keys that do.
func TestKMSThatDoesNotAnswer(t *testing.T) {
	g := NewWithT(t)
	w := open(t, providers(keyed("aesgcm", "one")))
	w.write(providers(fmt.Sprintf("{kms: {apiVersion: v2, name: gone, endpoint: 'unix://%s', timeout: 100ms}}", filepath.Join(t.TempDir(), "none.sock")), keyed("aesgcm", "one")))
	g.Eventually(w.refused).WithTimeout(30 * time.Second).Should(Receive(MatchError(ContainSubstring("kms-provider-0"))))
	g.Expect(string(w.store("x"))).To(HavePrefix("k8s:enc:aesgcm:v1:one:"))

	// Once it answers, the same file is taken.
	v := &vault{key: "key-1"}
	w.write(providers(serve(t, v), keyed("aesgcm", "one")))
	g.Eventually(func() string { return string(w.store("x")) }).WithTimeout(30 * time.Second).Should(HavePrefix("k8s:enc:kms:v2:vault:"))
}
