package datadir

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
)

func TestLockIsForOneAndNamesItsHolder(t *testing.T) {
	g := NewWithT(t)
	dir := filepath.Join(t.TempDir(), "data")
	_, running, err := Running(dir)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(running).To(BeFalse())

	lock, err := Take(dir)
	g.Expect(err).NotTo(HaveOccurred())
	pid, running, err := Running(dir)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(running).To(BeTrue())
	g.Expect(pid).To(Equal(os.Getpid()))

	_, err = Take(dir)
	var used *InUseError
	g.Expect(errors.As(err, &used)).To(BeTrue(), "got %v", err)
	g.Expect(*used).To(Equal(InUseError{Dir: dir, PID: os.Getpid()}))

	lock.Release()
	_, running, err = Running(dir)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(running).To(BeFalse(), "a file lock without a process is no cluster")
	again, err := Take(dir)
	g.Expect(err).NotTo(HaveOccurred())
	again.Release()
}

func TestUndoneLockLeavesNothingOfItsOwn(t *testing.T) {
	g := NewWithT(t)
	root := t.TempDir()
	lock, err := Take(filepath.Join(root, "a", "b"))
	g.Expect(err).NotTo(HaveOccurred())
	lock.Undo()
	lock.Release()
	g.Expect(os.ReadDir(root)).To(BeEmpty())

	lock, err = Take(root)
	g.Expect(err).NotTo(HaveOccurred())
	lock.Undo()
	lock.Release()
	g.Expect(filepath.Join(root, LockFile)).To(BeAnExistingFile(), "the directory was there before")
}

func TestInstanceIDsDiffer(t *testing.T) {
	if a, b := ID("/a"), ID("/b"); a == b || len(a) != 6 {
		t.Errorf("got %q and %q", a, b)
	}
}
