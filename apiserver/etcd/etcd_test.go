package etcd

import (
	"fmt"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	"go.etcd.io/etcd/server/v3/etcdserver"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
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
	for round := range 8 {
		s, err := Start(t.Context(), config)
		g.Expect(err).NotTo(HaveOccurred())
		got, err := s.Client.Client.Get(t.Context(), "/a")
		g.Expect(err).NotTo(HaveOccurred())
		if round > 0 {
			g.Expect(string(got.Kvs[0].Value)).To(Equal(fmt.Sprint(round-1, " ", 149)))
		}
		for i := range 150 {
			_, err = s.Client.Client.Put(t.Context(), "/a", fmt.Sprint(round, " ", i))
			g.Expect(err).NotTo(HaveOccurred())
		}
		s.Stop()
	}
}

// The moment that TestRestartsOnALongLog meets by chance, made on purpose: etcd
// has applied the log and dropped its first entries, and raft does not know yet.
func TestElectsOverDroppedEntries(t *testing.T) {
	g := NewWithT(t)
	f := newFailure("here")
	log := raft.NewMemoryStorage()
	var entries []*raftpb.Entry
	for i := range uint64(10) {
		entries = append(entries, &raftpb.Entry{Index: new(i + 1), Term: new(uint64(1)), Type: raftpb.EntryNormal.Enum()})
	}
	g.Expect(log.Append(entries)).To(Succeed())
	g.Expect(log.SetHardState(&raftpb.HardState{Term: new(uint64(1)), Commit: new(uint64(10))})).To(Succeed())
	node, err := raft.NewRawNode(&raft.Config{ID: 1, ElectionTick: 10, HeartbeatTick: 1, Storage: log,
		MaxSizePerMsg: 1 << 20, MaxInflightMsgs: 1, Logger: etcdserver.NewRaftLoggerZap(logger(nil, &f))})
	g.Expect(err).NotTo(HaveOccurred())
	node.ApplyConfChange(&raftpb.ConfChange{Type: raftpb.ConfChangeAddNode.Enum(), NodeId: new(uint64(1))})
	ready := node.Ready()
	g.Expect(log.Compact(5)).To(Succeed())
	elected := make(chan error, 1)
	go func() {
		defer close(elected)
		elected <- node.Campaign()
	}()
	g.Eventually(elected).Should(Receive(Succeed()), "raft's goroutine ended")
	node.Advance(ready)
	g.Eventually(func() raft.StateType {
		for node.HasReady() {
			ready := node.Ready()
			g.Expect(log.Append(ready.Entries)).To(Succeed())
			node.Advance(ready)
		}
		return node.Status().RaftState
	}).Should(Equal(raft.StateLeader))
	g.Expect(f.err).NotTo(HaveOccurred())
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
