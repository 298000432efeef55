package dns

import (
	"context"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/miekg/dns"
	"go.uber.org/goleak"
)

// resolver answers every question with 192.0.2.1.
func resolver(t *testing.T) (port int) {
	t.Helper()
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	up := make(chan struct{})
	server := &dns.Server{PacketConn: packets, NotifyStartedFunc: func() { close(up) }, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, asked *dns.Msg) {
		reply := new(dns.Msg).SetReply(asked)
		rr, _ := dns.NewRR(asked.Question[0].Name + " 60 IN A 192.0.2.1")
		reply.Answer = []dns.RR{rr}
		_ = w.WriteMsg(reply)
	})}
	go func() { _ = server.ActivateAndServe() }()
	<-up
	t.Cleanup(func() { _ = server.Shutdown() })
	return packets.LocalAddr().(*net.UDPAddr).Port
}

// start runs a server whose other resolver is at a port; ends with the test.
func start(t *testing.T, upstream int) (address string) {
	t.Helper()
	resolvers := func() ([]string, error) {
		return []string{net.JoinHostPort("127.0.0.1", strconv.Itoa(upstream))}, nil
	}
	server, err := Listen(Config{Zone: world(t), Address: "127.0.0.1", Listen: net.Listen, ListenPacket: net.ListenPacket,
		Resolvers: resolvers, Log: logr.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return server.Address().String()
}

func ask(t *testing.T, protocol, address, name string, kind uint16) *dns.Msg {
	t.Helper()
	client := dns.Client{Net: protocol, Timeout: 10 * time.Second}
	reply, _, err := client.ExchangeContext(t.Context(), new(dns.Msg).SetQuestion(name, kind), address)
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

func TestServer(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	t.Run("answers", func(t *testing.T) {
		address := start(t, resolver(t))
		for _, protocol := range []string{"udp", "tcp"} {
			if got := ask(t, protocol, address, "web.shop.svc.cluster.local.", dns.TypeA); len(got.Answer) != 1 || !strings.HasSuffix(got.Answer[0].String(), "10.96.0.7") || !got.Authoritative {
				t.Errorf("%s: %v", protocol, got)
			}
			if got := ask(t, protocol, address, "none.shop.svc.cluster.local.", dns.TypeA); got.Rcode != dns.RcodeNameError || len(got.Ns) != 1 {
				t.Errorf("%s: %v", protocol, got)
			}
		}
		if got := ask(t, "udp", address, "example.org.", dns.TypeA); len(got.Answer) != 1 || got.Rcode != dns.RcodeSuccess {
			t.Errorf("elsewhere: %v", got)
		}
		if got := ask(t, "udp", address, "out.shop.svc.cluster.local.", dns.TypeA); len(got.Answer) != 2 {
			t.Errorf("an alias to elsewhere: %v", got)
		}
	})
	t.Run("without a resolver", func(t *testing.T) {
		unused, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := unused.LocalAddr().(*net.UDPAddr).Port
		unused.Close()
		if got := ask(t, "udp", start(t, port), "example.org.", dns.TypeA); got.Rcode != dns.RcodeServerFailure {
			t.Errorf("%v", got)
		}
	})
}
