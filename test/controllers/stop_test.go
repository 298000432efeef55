package controllers

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

// cutOffLimit is less than what the manager allows its parts to end in, and far
// more than what they need when etcd does not answer: 3 s.
const cutOffLimit = 18 * time.Second

// TestStopWithoutEtcd: a leader whose etcd is out of reach, or silent, cannot
// release its Leases nor take its address away, and does not try for long.
func TestStopWithoutEtcd(t *testing.T) {
	for name, cut := range map[string]func(*wire){
		"out of reach": func(w *wire) { w.set(false) },
		"silent":       (*wire).silence,
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			s := newSeveral(t, time.Hour, time.Minute, 100*time.Millisecond)
			w := startWire(t, startEtcd(t))
			a := s.start(w.address(), 1, advertising("10.0.0.1"))
			g.Eventually(leads).WithArguments(a).WithTimeout(time.Minute).Should(BeTrue(), "the only server leads")
			g.Eventually(led).WithArguments(t, a).WithTimeout(time.Minute).Should(ConsistOf("10.0.0.1"))
			g.Expect(a.Client.Create(t.Context(), deploy("web", 3))).To(Succeed())
			cut(w)
			stopped := make(chan struct{})
			begun := time.Now()
			go func() {
				defer close(stopped)
				a.Cluster.Stop()
			}()
			g.Eventually(stopped).WithTimeout(cutOffLimit).Should(BeClosed(), "the server has stopped")
			t.Log(time.Since(begun))
		})
	}
}
