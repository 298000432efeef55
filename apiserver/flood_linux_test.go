package apiserver_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/coracle-k8s/coracle/apiserver"
	"github.com/coracle-k8s/coracle/apiserver/pki"
)

const (
	// floodedDir is the variable that makes the test's program a server in that
	// directory, with few descriptors.
	floodedDir = "CORACLE_TEST_FLOODED_DIR"
	// descriptors are those of the server, flood the connections to it.
	descriptors, flood = 256, 1000
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(floodedDir); dir != "" {
		if err := serveWithFewDescriptors(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serveWithFewDescriptors runs a server until standard input ends.
func serveWithFewDescriptors(dir string) error {
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: descriptors, Max: descriptors}); err != nil {
		return err
	}
	config, err := configureIn(dir)
	if err != nil {
		return err
	}
	config.Report = func(err error) { fmt.Fprintln(os.Stderr, err) }
	s, err := apiserver.Start(context.Background(), config)
	if err != nil {
		return err
	}
	fmt.Println("https://" + config.Listeners[0].Addr().String())
	_, _ = io.Copy(io.Discard, os.Stdin)
	s.Stop()
	return s.Err()
}

// flooded is a server in a process of its own.
type flooded struct {
	server
	pid    int
	errors *bytes.Buffer // to be read after stop
	stop   func() error
}

func startFlooded(t *testing.T) *flooded {
	t.Helper()
	g := NewWithT(t)
	dir := t.TempDir()
	self, err := os.Executable()
	g.Expect(err).NotTo(HaveOccurred())
	f := &flooded{errors: &bytes.Buffer{}}
	command := exec.CommandContext(t.Context(), self)
	command.Env, command.Stderr = append(os.Environ(), floodedDir+"="+dir), f.errors
	in, err := command.StdinPipe()
	g.Expect(err).NotTo(HaveOccurred())
	out, err := command.StdoutPipe()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(command.Start()).To(Succeed())
	f.stop = sync.OnceValue(func() error {
		in.Close()
		return command.Wait()
	})
	t.Cleanup(func() { _ = f.stop() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the server did not start: %v: %v: %s", err, f.stop(), f.errors)
	}
	f.pid, f.url = command.Process.Pid, strings.TrimSpace(line)
	f.authority, err = pki.Open(filepath.Join(dir, "pki"), time.Now())
	g.Expect(err).NotTo(HaveOccurred())
	return f
}

// status returns a number of kilobytes from the process's status.
func (f *flooded) status(t *testing.T, field string) int {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", f.pid))
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	n, err := strconv.Atoi(regexp.MustCompile(field + `:\s+(\d+)`).FindStringSubmatch(string(data))[1])
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return n
}

func (f *flooded) descriptors(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", f.pid))
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return len(open)
}

// from returns a client of an address; keep makes it use one connection.
func (f *flooded) from(address string, keep bool) *http.Client {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		DialContext: dialer.DialContext, TLSClientConfig: &tls.Config{RootCAs: f.authority.Pool()}, ForceAttemptHTTP2: true, DisableKeepAlives: !keep,
	}}
}

// write creates an object, which etcd has to keep.
func (f *flooded) write(c *http.Client, name string) error {
	request, err := http.NewRequest(http.MethodPost, f.url+"/api/v1/namespaces", strings.NewReader(fmt.Sprintf(`{"metadata":{"name":%q}}`, name)))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer secret")
	request.Header.Set("Content-Type", "application/json")
	response, err := c.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if text, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusCreated {
		return fmt.Errorf("%s: %s", response.Status, text)
	}
	return nil
}

// attacks are connections that show no credentials.
var attacks = map[string]func(f *flooded, c net.Conn) error{
	"idle": func(*flooded, net.Conn) error { return nil },
	"half a handshake": func(_ *flooded, c net.Conn) error {
		_, err := c.Write([]byte{22, 3, 1, 2, 0, 1, 0})
		return err
	},
	"slow headers": func(f *flooded, c net.Conn) error {
		return f.secure(c, "http/1.1", "GET /livez HTTP/1.1\r\nHost: a\r\nX-")
	},
	"HTTP/2 without a request": func(f *flooded, c net.Conn) error {
		return f.secure(c, "h2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
	},
}

func (f *flooded) secure(c net.Conn, protocol, first string) error {
	secured := tls.Client(c, &tls.Config{RootCAs: f.authority.Pool(), ServerName: "127.0.0.1", NextProtos: []string{protocol}})
	_, err := secured.Write([]byte(first))
	return err
}

// attack opens the flood's connections of one kind; that the server closes some
// of them before they are done is what it is to do.
func (f *flooded) attack(do func(*flooded, net.Conn) error) []net.Conn {
	var opened []net.Conn
	for range flood / len(attacks) {
		c, err := net.Dial("tcp", strings.TrimPrefix(f.url, "https://"))
		if err != nil {
			continue
		}
		opened = append(opened, c)
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		_ = do(f, c)
	}
	return opened
}

// TestFloodOfConnections opens more connections than the server has descriptors,
// without credentials. Users go on writing, on connections from before and on new
// ones, and everything is given back afterwards.
func TestFloodOfConnections(t *testing.T) {
	g := NewWithT(t)
	f := startFlooded(t)
	kept := f.from("127.0.0.1", true)
	defer kept.CloseIdleConnections()
	g.Expect(f.write(kept, "before")).To(Succeed())
	open, memory := f.descriptors(t), f.status(t, "VmRSS")

	var all []net.Conn
	for kind, do := range attacks {
		name := strings.NewReplacer(" ", "-", "/", "-").Replace(strings.ToLower(kind))
		attacked := make(chan []net.Conn)
		go func() { attacked <- f.attack(do) }()
		for i, more := 0, true; more; i++ {
			select {
			case conns := <-attacked:
				all, more = append(all, conns...), false
			default:
			}
			g.Expect(f.write(kept, fmt.Sprintf("%s-kept-%d", name, i))).To(Succeed(), "the connection from before, %s", kind)
			g.Expect(f.write(f.from("127.0.0.2", false), fmt.Sprintf("%s-new-%d", name, i))).To(Succeed(), "another address, %s", kind)
		}
		g.Expect(f.write(f.from("127.0.0.1", false), name+"-same")).To(Succeed(), "the address of the flood, %s", kind)
		g.Expect(f.descriptors(t)).To(BeNumerically("<", descriptors-reserve(descriptors)), kind)
	}
	g.Expect(len(all)).To(BeNumerically(">", flood*9/10))
	g.Expect(f.status(t, "VmRSS")-memory).To(BeNumerically("<", memoryFactor*64<<10), "kilobytes more than before")

	for _, c := range all {
		c.Close()
	}
	g.Eventually(func() int { return f.descriptors(t) }).WithTimeout(20*time.Second).Should(BeNumerically("<", open+8), "descriptors open, %d before", open)
	g.Expect(f.write(f.from("127.0.0.1", false), "after")).To(Succeed())
	g.Expect(f.stop()).To(Succeed())
	g.Expect(strings.Count(f.errors.String(), "to make room")).To(BeNumerically("~", 1, 2), "said once a minute: %s", f.errors)
}

// reserve returns the descriptors that the server must leave free for etcd.
func reserve(descriptors int) int { return descriptors / 4 }
