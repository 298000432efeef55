//go:build linux

package session

import (
	"fmt"
	"os"
	"syscall"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gbytes"
	"golang.org/x/sys/unix"
)

// screen holds the output on a terminal, and the end of the program that has it.
type screen struct {
	out   *gbytes.Buffer
	ended chan error
}

// onTerminal runs kubectl with a terminal of its own and returns the terminal's
// other end, where a person would sit.
func (m *machine) onTerminal(args ...string) (*os.File, screen) {
	GinkgoHelper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	Expect(err).NotTo(HaveOccurred())
	Expect(unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0)).To(Succeed())
	n, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	Expect(err).NotTo(HaveOccurred())
	terminal, err := os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	Expect(err).NotTo(HaveOccurred())
	Expect(unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 40, Col: 120})).To(Succeed())
	cmd := m.command(args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	Expect(cmd.Start()).To(Succeed())
	Expect(terminal.Close()).To(Succeed())
	s := screen{gbytes.BufferReader(person), make(chan error, 1)}
	go func() { s.ended <- cmd.Wait() }()
	DeferCleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = person.Close()
	})
	return person, s
}
