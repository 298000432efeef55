package etcd

import (
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	"go.uber.org/goleak"
)

func TestRestartKeepsWhatWasAcknowledged(t *testing.T) {
	defer goleak.VerifyNone(t)
	g := NewWithT(t)
	config := Config{Dir: t.TempDir()}
	s, err := Start(t.Context(), config)
	g.Expect(err).NotTo(HaveOccurred())
	client := s.NewClient()
	_, err = client.Client.Put(t.Context(), "/a", "1")
	g.Expect(err).NotTo(HaveOccurred())
	client.Close() // reports its own context's end
	s.Stop()

	s, err = Start(t.Context(), config)
	g.Expect(err).NotTo(HaveOccurred())
	defer s.Stop()
	client = s.NewClient()
	defer client.Close()
	got, err := client.Client.Get(t.Context(), "/a")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(got.Kvs[0].Value)).To(Equal("1"))
}

func TestManyMembersSideBySide(t *testing.T) {
	defer goleak.VerifyNone(t)
	g := NewWithT(t)
	for range 3 {
		s, err := Start(t.Context(), Config{Dir: t.TempDir(), UnsafeNoFsync: true})
		g.Expect(err).NotTo(HaveOccurred())
		defer s.Stop()
	}
}

func TestUnusableDirectoryIsAnError(t *testing.T) {
	_, err := Start(t.Context(), Config{Dir: "/proc/none"})
	NewWithT(t).Expect(err).To(MatchError(ContainSubstring("/proc/none")))
}

// A log of more than a hundred entries makes etcd drop applied ones from
// memory while raft may still look at them.
func TestRestartsOnALongLog(t *testing.T) {
	g := NewWithT(t)
	config := Config{Dir: t.TempDir(), UnsafeNoFsync: true}
	for range 8 {
		s, err := Start(t.Context(), config)
		g.Expect(err).NotTo(HaveOccurred())
		for range 150 {
			_, err = s.Client.Client.Put(t.Context(), "/a", "1")
			g.Expect(err).NotTo(HaveOccurred())
		}
		s.Stop()
	}
}

// Watches that ask for previous values read them from the database, also when
// their client has gone.
func TestStopsUnderWatches(t *testing.T) {
	defer goleak.VerifyNone(t)
	g := NewWithT(t)
	for range 10 {
		s, err := Start(t.Context(), Config{Dir: t.TempDir(), UnsafeNoFsync: true})
		g.Expect(err).NotTo(HaveOccurred())
		var clients []*kubernetes.Client
		for range 20 {
			c := s.NewClient()
			clients = append(clients, c)
			c.Client.Watch(t.Context(), "/a", clientv3.WithPrevKV())
		}
		var writing sync.WaitGroup
		written := make(chan struct{})
		writing.Go(func() {
			for i := 0; ; i++ {
				if _, err := s.Client.Client.Put(t.Context(), "/a", "1"); err != nil {
					return
				}
				if i == 100 {
					close(written)
				}
			}
		})
		g.Eventually(written, 10*time.Second).Should(BeClosed(), "a hundred writes")
		for _, c := range clients {
			c.Close() // reports its own context's end
		}
		s.Stop()
		writing.Wait()
	}
}
