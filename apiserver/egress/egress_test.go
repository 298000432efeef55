package egress

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

func TestRule(t *testing.T) {
	for _, ip := range []string{"10.0.0.1", "100.64.0.1", "192.168.1.1", "8.8.8.8", "::ffff:10.0.0.1", "fd00::1", "2001:db8::1"} {
		if err := CheckIP(ip); err != nil {
			t.Errorf("%s: %v", ip, err)
		}
	}
	for _, ip := range []string{
		"", "localhost", "127.0.0.1", "127.9.9.9", "0.0.0.0", "169.254.169.254", "224.0.0.1", "255.255.255.255", "127.1", "2130706433",
		"::", "::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:0.0.0.0", "fe80::1", "fe80::1%eth0", "ff02::1", "ff01::1",
	} {
		if err := CheckIP(ip); !apierrors.IsBadRequest(err) || err.Error() != "address not allowed" {
			t.Errorf("%q: %v", ip, err)
		}
	}
}

func TestCheckHost(t *testing.T) {
	g := NewWithT(t)
	g.Expect(CheckHost(t.Context(), "10.0.0.1")).To(Succeed())
	for host, want := range map[string]string{"localhost": "address not allowed", "::1": "address not allowed", "no such host": "resolving no such host"} {
		err := CheckHost(t.Context(), host)
		g.Expect(apierrors.IsBadRequest(err)).To(BeTrue(), host)
		g.Expect(err).To(MatchError(ContainSubstring(want)))
	}
}

// TestDial connects to a listener of this machine by whatever leads to it, as a
// rebinding name does: it is the resolved address that counts.
func TestDial(t *testing.T) {
	g := NewWithT(t)
	reached := make(chan struct{}, 1)
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached <- struct{}{} }))
	defer server.Close()
	written := server.Listener.Addr().String()
	_, port, err := net.SplitHostPort(written)
	g.Expect(err).NotTo(HaveOccurred())
	get := func(dial DialFunc, host string) error {
		transport := &http.Transport{DialContext: dial, DisableKeepAlives: true}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+net.JoinHostPort(host, port), nil)
		g.Expect(err).NotTo(HaveOccurred())
		response, err := transport.RoundTrip(request)
		if err == nil {
			response.Body.Close()
			<-reached
		}
		return err
	}
	for _, host := range []string{"127.0.0.1", "localhost", "0.0.0.0", "::", "::1", "::ffff:127.0.0.1"} {
		err := get(Dial, host)
		var status apierrors.APIStatus
		g.Expect(errors.As(err, &status)).To(BeTrue(), "%q: %v", host, err)
		g.Expect(status.Status().Message).To(Equal("address not allowed"))
	}
	g.Expect(get(Except(written), "127.0.0.1")).To(Succeed())
	g.Expect(get(Except(written), "localhost")).NotTo(Succeed(), "another way to write it is not what was excepted")
	g.Expect(get(Except(strings.ToUpper("localhost:")+port), "localhost")).To(Succeed())
	g.Expect(get(Except("127.0.0.1:1"), "127.0.0.1")).NotTo(Succeed(), "another port")
	for network, address := range map[string]string{"tcp": ":" + port, "unix": "/nowhere", "udp": written} {
		_, err = Dial(t.Context(), network, address)
		g.Expect(err).To(MatchError(ContainSubstring("address not allowed")), address)
	}
	g.Expect(reached).To(BeEmpty())
}
