package etcd

import (
	"context"
	"net/url"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"go.etcd.io/etcd/server/v3/embed"
)

// An etcd elsewhere: watches of two clients have streams of their own, and the
// end of one client leaves the other.
func TestEtcdElsewhere(t *testing.T) {
	g := NewWithT(t)
	f := newFailure("")
	cfg := config(Config{Dir: t.TempDir(), UnsafeNoFsync: true}, &f)
	cfg.ListenClientUrls = []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	member, err := embed.StartEtcd(cfg)
	g.Expect(err).NotTo(HaveOccurred())
	defer member.Close()

	s, err := Start(t.Context(), Config{Endpoints: []string{"http://" + member.Clients[0].Addr().String()}})
	g.Expect(err).NotTo(HaveOccurred())
	defer s.Stop()
	one, two := s.NewClient(), s.NewClient()
	first, second := one.Client.Watch(t.Context(), "/a"), two.Client.Watch(t.Context(), "/a")
	_, err = two.Client.Put(t.Context(), "/a", "1")
	g.Expect(err).NotTo(HaveOccurred())
	g.Eventually(first).Should(Receive(HaveField("Events", HaveLen(1))))
	g.Eventually(second).Should(Receive())
	one.Close()
	_, err = two.Client.Put(t.Context(), "/a", "2")
	g.Expect(err).NotTo(HaveOccurred())
	g.Eventually(second).Should(Receive(HaveField("Events", HaveLen(1))))
	two.Close()
	_, err = s.Client.Client.Get(t.Context(), "/a")
	g.Expect(err).NotTo(HaveOccurred())
}

func TestNoEtcdElsewhereIsAnError(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := Start(ctx, Config{Endpoints: []string{"http://127.0.0.1:1"}})
	NewWithT(t).Expect(err).To(MatchError(ContainSubstring("etcd")))
}
