package follow_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"go.uber.org/goleak"

	"github.com/coracle-k8s/coracle/apiserver/follow"
)

func TestFile(t *testing.T) {
	g := NewWithT(t)
	ignore := goleak.IgnoreCurrent()
	path := filepath.Join(t.TempDir(), "f")
	write := func(content string) {
		g.Expect(os.WriteFile(path+".new", []byte(content), 0o600)).To(Succeed())
		g.Expect(os.Rename(path+".new", path)).To(Succeed())
	}
	write("one")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	notes, done := make(chan string, 10), make(chan struct{})
	go func() {
		defer close(done)
		follow.File(ctx, path, []byte("one"), func(b []byte) error {
			if string(b) == "bad" {
				return errors.New("is bad")
			}
			return nil
		}, func(b []byte, err error) {
			if err != nil {
				notes <- "refused"
				return
			}
			notes <- string(b)
		})
	}()
	g.Consistently(notes).WithTimeout(50 * time.Millisecond).ShouldNot(Receive())
	write("two")
	g.Eventually(notes).Should(Receive(Equal("two")))
	write("bad")
	g.Eventually(notes).Should(Receive(Equal("refused")))
	write("three")
	g.Eventually(notes).Should(Receive(Equal("three")))
	cancel()
	<-done
	goleak.VerifyNone(t, ignore)
}
