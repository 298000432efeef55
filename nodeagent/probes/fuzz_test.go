package probes

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// answer serves one connection with bytes, whatever is asked, and reports how many
// were taken. It waits for the request: a client drops a connection that answers
// before it was asked.
func answer(conn net.Conn, head []byte, endless bool) (written int) {
	defer conn.Close()
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		return 0
	}
	go func() { _, _ = io.Copy(io.Discard, conn) }()
	_, err := conn.Write(head)
	for chunk := make([]byte, 4096); endless && err == nil; {
		var n int
		n, err = conn.Write(chunk)
		written += n
	}
	return written
}

// probed probes what answer sends on the other end of a pipe.
func probed(t *testing.T, head []byte, endless bool) (Result, string, int) {
	taken := make(chan int, 16)
	p := &Prober{UserAgent: "kube-probe/1.37", Dial: func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		go func() { taken <- answer(there, head, endless) }()
		return here, nil
	}}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	result, text := p.Probe(ctx, Target{Pod: &corev1.Pod{}, Container: &corev1.Container{}, IP: "192.0.2.1"},
		&corev1.Probe{TimeoutSeconds: 1, ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Port: intstr.FromInt32(80)}}})
	return result, text, <-taken
}

func TestProbesReadAnswersUpToTheirLimitOnly(t *testing.T) {
	result, text, taken := probed(t, []byte("HTTP/1.1 200 OK\r\n\r\n"), true)
	if result != Success || len(text) != maxBody || taken > 1<<20 {
		t.Errorf("%v: %d bytes of %d that were taken", result, len(text), taken)
	}
}

// FuzzHTTP probes containers that answer anything.
func FuzzHTTP(f *testing.F) {
	for _, text := range []string{"", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nx", "HTTP/1.1 302 F\r\nLocation: /x\r\n\r\n", "HTTP/1.1 302 F\r\nLocation: http://[\r\n\r\n", "HTTP/1.1 399 X\r\n\r\n", "HTTP/1.1 99999 X\r\n\r\n", "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 500 E\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", "HTTP/2.0 200\r\n\r\n", "\x00\xff"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, head []byte) {
		if len(head) > 1<<16 {
			return
		}
		result, text, _ := probed(t, head, false)
		if result == Success && len(text) > maxBody || len(text) > 2*maxBody+len(head) {
			t.Errorf("%v with %d bytes", result, len(text))
		}
	})
}
