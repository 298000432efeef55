package keys

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/coracle-k8s/coracle/apiserver/etcd"
	"github.com/coracle-k8s/coracle/apiserver/pki"
)

// site is an etcd that servers share.
type site struct {
	*WithT
	t    *testing.T
	etcd *etcd.Server
}

func newSite(t *testing.T) *site {
	s := &site{WithT: NewWithT(t), t: t}
	var err error
	s.etcd, err = etcd.Start(t.Context(), etcd.Config{Dir: t.TempDir(), UnsafeNoFsync: true})
	s.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(s.etcd.Stop)
	return s
}

// server returns the configuration of a new server.
func (s *site) server() Config {
	c := Config{Dir: s.t.TempDir(), Client: s.etcd.Client.Client, Etcd: "http://etcd"}
	c.Make = func() error {
		now := time.Now()
		a, err := pki.Open(filepath.Join(c.Dir, "pki"), now)
		s.Expect(err).NotTo(HaveOccurred())
		_, err = a.Key("service-account")
		s.Expect(err).NotTo(HaveOccurred())
		_, err = pki.Open(filepath.Join(c.Dir, "pki", "front-proxy"), now)
		s.Expect(err).NotTo(HaveOccurred())
		_, err = pki.Open(filepath.Join(c.Dir, "pki", "node-ca"), now)
		return err
	}
	return c
}

func (s *site) share(c Config) { s.t.Helper(); s.Expect(Share(s.t.Context(), c)).To(Succeed()) }

func (s *site) refused(c Config, why string) {
	s.t.Helper()
	s.Expect(Share(s.t.Context(), c)).To(MatchError(ContainSubstring(why)))
}

func (s *site) give(to, from Config, name string) {
	data, err := os.ReadFile(from.path(name))
	s.Expect(err).NotTo(HaveOccurred())
	s.Expect(os.MkdirAll(filepath.Dir(to.path(name)), 0o700)).To(Succeed())
	s.Expect(os.WriteFile(to.path(name), data, 0o600)).To(Succeed())
}

func (s *site) has(c Config) map[string][]byte {
	all, err := c.local()
	s.Expect(err).NotTo(HaveOccurred())
	return all
}

// A server with the token of another one gets its keys. A server with other keys,
// or without the token, gets an error with advice and nothing else.
func TestShare(t *testing.T) {
	s := newSite(t)
	first := s.server()
	s.share(first)
	was := s.has(first)
	s.Expect(was).To(HaveLen(len(Files())))
	s.share(first)
	s.Expect(s.has(first)).To(Equal(was), "after a restart")

	second := s.server()
	s.refused(second, "copy the file server-token of one of its servers there")
	s.Expect(s.has(second)).To(BeEmpty())
	s.give(second, first, TokenFile)
	s.share(second)
	s.Expect(s.has(second)).To(Equal(was))
	for _, name := range Files() {
		info, err := os.Stat(second.path(name))
		s.Expect(err).NotTo(HaveOccurred())
		s.Expect(info.Mode().Perm()).To(Equal(os.FileMode(0o600)), name)
	}
	s.Expect(os.Remove(second.path("pki/ca.crt"))).To(Succeed())
	s.share(second)
	s.Expect(s.has(second)).To(Equal(was), "what was lost is back")

	other := s.server()
	s.Expect(os.WriteFile(other.path(TokenFile), []byte("guessed\n"), 0o600)).To(Succeed())
	s.refused(other, "is not that of the cluster in the etcd at http://etcd")
	s.Expect(s.has(other)).To(BeEmpty())
}

func TestServerOfAnotherCluster(t *testing.T) {
	s := newSite(t)
	first, elsewhere := s.server(), newSite(t)
	s.share(first)
	second := elsewhere.server()
	elsewhere.share(second)
	was := s.has(second)
	second.Client = first.Client
	s.refused(second, "has a cluster with another pki/ca.crt than "+second.Dir)
	s.give(second, first, TokenFile)
	s.refused(second, "remove "+filepath.Join(second.Dir, "pki"))
	s.Expect(s.has(second)).To(Equal(was), "nothing of it changed")
	s.Expect(os.RemoveAll(second.path("pki"))).To(Succeed())
	s.share(second)
	s.Expect(s.has(second)).To(Equal(s.has(first)))
}

// A server that was given all keys by hand needs no token.
func TestKeysByHand(t *testing.T) {
	s := newSite(t)
	first, second := s.server(), s.server()
	s.share(first)
	for _, name := range Files() {
		s.give(second, first, name)
	}
	s.share(second)
	s.Expect(second.path(TokenFile)).NotTo(BeAnExistingFile())
	s.Expect(os.Remove(second.path("pki/service-account.key"))).To(Succeed())
	s.refused(second, "copy the file server-token")
}

// Of two that start at once on an empty etcd one is the first: the other one's keys are removed.
func TestTwoAtOnce(t *testing.T) {
	for _, same := range []bool{false, true} {
		s := newSite(t)
		first, second := s.server(), s.server()
		if same { // a token that both were given beforehand
			for _, c := range []Config{first, second} {
				s.Expect(os.WriteFile(c.path(TokenFile), []byte("given\n"), 0o600)).To(Succeed())
			}
		}
		make := second.Make
		second.Make = func() error {
			s.share(first)
			return make()
		}
		if same {
			s.share(second)
			s.Expect(s.has(second)).To(Equal(s.has(first)))
			continue
		}
		s.refused(second, "copy the file server-token")
		s.Expect(s.has(second)).To(BeEmpty())
		s.give(second, first, TokenFile)
		s.share(second)
		s.Expect(s.has(second)).To(Equal(s.has(first)))
	}
}

// earlier makes a server and its record those of a version without the authority
// of nodes, and with the token of agents.
func (s *site) earlier(c Config) {
	s.share(c)
	s.Expect(os.RemoveAll(c.path("pki/node-ca"))).To(Succeed())
	old := s.has(c)
	r := &record{Fingerprints: map[string]string{}}
	for name, data := range old {
		r.Fingerprints[name] = Fingerprint(data)
	}
	old[former] = []byte("x")
	token, err := c.token()
	s.Expect(err).NotTo(HaveOccurred())
	r.Sealed, err = seal(old, token)
	s.Expect(err).NotTo(HaveOccurred())
	text, err := json.Marshal(r)
	s.Expect(err).NotTo(HaveOccurred())
	_, err = c.Client.Put(s.t.Context(), key, string(text))
	s.Expect(err).NotTo(HaveOccurred())
}

// A cluster of an earlier version gets the keys that it lacks from the first of its
// servers that is of this one, and keeps all others.
func TestUpgrade(t *testing.T) {
	s := newSite(t)
	first, second, third := s.server(), s.server(), s.server()
	s.earlier(first)
	was := s.has(first)
	s.refused(second, "copy the file server-token of one of its servers there")
	s.give(second, first, TokenFile)
	s.share(second)
	now := s.has(second)
	s.Expect(now).To(HaveLen(len(Files())))
	for name, data := range was {
		s.Expect(now[name]).To(Equal(data), name)
	}
	s.Expect(second.path(former)).NotTo(BeAnExistingFile())
	for _, c := range []Config{first, third} {
		s.give(c, second, TokenFile)
		s.share(c)
		s.Expect(s.has(c)).To(Equal(now))
	}
}

// Of two servers of the new version that start at once one is the first.
func TestUpgradeOfTwoAtOnce(t *testing.T) {
	s := newSite(t)
	first, second := s.server(), s.server()
	s.earlier(first)
	for _, name := range Files() {
		if !strings.HasPrefix(name, NodeAuthority) {
			s.give(second, first, name)
		}
	}
	was := s.has(second)
	make := second.Make
	second.Make = func() error {
		s.share(first)
		return make()
	}
	s.refused(second, "copy the file server-token")
	s.Expect(s.has(second)).To(Equal(was), "nothing was made without the token")
	s.give(second, first, TokenFile)
	s.share(second)
	s.Expect(s.has(second)).To(HaveLen(len(Files())))
	s.Expect(s.has(second)).To(Equal(s.has(first)))
}
