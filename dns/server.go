package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/go-logr/logr"
	"github.com/miekg/dns"
	"golang.org/x/sync/errgroup"
)

const (
	// upstreamTimeout is how long one resolver may take, stopTimeout how long
	// questions under way may when the server ends.
	upstreamTimeout, stopTimeout = 2 * time.Second, 3 * time.Second
	// maxForwards are questions to other resolvers at once; more fail.
	maxForwards = 512
	// bindTries are attempts to find a port that is free for UDP and for TCP.
	bindTries = 16
)

// Config holds the dependencies of a Server; all of it is required.
type Config struct {
	// Zone answers for the cluster's domain.
	Zone *Zone
	// Address is the IP address to listen on, on a port that the kernel picks.
	Address string
	// Listen and ListenPacket open sockets in the node's network namespace.
	Listen       func(network, address string) (net.Listener, error)
	ListenPacket func(network, address string) (net.PacketConn, error)
	// Resolvers returns the addresses, with ports, of the servers for other
	// names, in order of preference. It is called for each such name.
	Resolvers func() ([]string, error)
	Log       logr.Logger
}

// ResolvConf returns the resolvers that a file such as /etc/resolv.conf names.
func ResolvConf(path string) func() ([]string, error) {
	return func() ([]string, error) {
		config, err := dns.ClientConfigFromFile(path)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
		for i, server := range config.Servers {
			config.Servers[i] = net.JoinHostPort(server, config.Port)
		}
		return config.Servers, nil
	}
}

// Server answers over UDP and TCP.
type Server struct {
	config   Config
	forwards chan struct{}
	packets  net.PacketConn
	streams  net.Listener
}

// Listen opens the server's sockets. Start, or Close, ends them.
func Listen(config Config) (*Server, error) {
	s := &Server{config: config, forwards: make(chan struct{}, maxForwards)}
	var err error
	for range bindTries {
		if s.packets, err = config.ListenPacket("udp", net.JoinHostPort(config.Address, "0")); err != nil {
			break
		}
		port := s.packets.LocalAddr().(*net.UDPAddr).Port
		if s.streams, err = config.Listen("tcp", net.JoinHostPort(config.Address, strconv.Itoa(port))); err == nil {
			return s, nil
		}
		s.packets.Close()
	}
	return nil, fmt.Errorf("listening for DNS on %s: %w", config.Address, err)
}

// Address returns the address that the server listens on, for UDP and TCP.
func (s *Server) Address() netip.AddrPort {
	at := s.packets.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

// Close ends a server that was not started.
func (s *Server) Close() error { return errors.Join(s.packets.Close(), s.streams.Close()) }

// Start serves until ctx ends.
func (s *Server) Start(ctx context.Context) error {
	group, running := errgroup.WithContext(ctx)
	for _, server := range []*dns.Server{
		{PacketConn: s.packets, Net: "udp"},
		{Listener: s.streams, Net: "tcp"},
	} {
		up := make(chan struct{})
		server.NotifyStartedFunc = func() { close(up) }
		server.Handler = dns.HandlerFunc(func(w dns.ResponseWriter, asked *dns.Msg) {
			if err := w.WriteMsg(s.answer(running, server.Net, asked)); err != nil {
				s.config.Log.V(1).Info("Sending a DNS answer failed", "error", err.Error())
			}
		})
		group.Go(server.ActivateAndServe)
		group.Go(func() error {
			select {
			case <-up: // not before: it could not be shut down
			case <-running.Done():
				return s.Close()
			}
			<-running.Done()
			stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
			defer cancel()
			return server.ShutdownContext(stop)
		})
	}
	if err := group.Wait(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("serving DNS: %w", err)
	}
	return nil
}

// answer makes the response to a message that came by a protocol.
func (s *Server) answer(ctx context.Context, protocol string, asked *dns.Msg) *dns.Msg {
	reply := new(dns.Msg)
	if asked.Opcode != dns.OpcodeQuery {
		return reply.SetRcode(asked, dns.RcodeNotImplemented)
	}
	if len(asked.Question) != 1 {
		return reply.SetRcode(asked, dns.RcodeFormatError)
	}
	found, err := s.config.Zone.Reply(asked.Question[0])
	if err != nil {
		s.config.Log.Error(err, "Answering a DNS question", "name", asked.Question[0].Name)
		return reply.SetRcode(asked, dns.RcodeServerFailure)
	}
	if !found.Mine {
		return s.forward(ctx, protocol, asked)
	}
	reply.SetReply(asked)
	reply.Authoritative, reply.RecursionAvailable = true, true
	reply.Answer, reply.Extra = found.Answer, found.Extra
	if found.Alias != "" {
		next := s.forward(ctx, protocol, alias(asked, found.Alias))
		reply.Answer, reply.Rcode = append(reply.Answer, next.Answer...), next.Rcode
	} else if len(found.Answer) == 0 {
		reply.Ns = []dns.RR{s.config.Zone.Authority()}
		if !found.Exists {
			reply.Rcode = dns.RcodeNameError
		}
	}
	size := dns.MinMsgSize
	if edns := asked.IsEdns0(); edns != nil {
		reply.SetEdns0(edns.UDPSize(), edns.Do())
		size = int(edns.UDPSize())
	}
	if protocol == "tcp" {
		size = dns.MaxMsgSize
	}
	reply.Truncate(size)
	return reply
}

// alias returns the question that a CNAME leads to.
func alias(asked *dns.Msg, name string) *dns.Msg {
	next := asked.Copy()
	next.Id, next.Question[0].Name = dns.Id(), name
	return next
}

// forward asks the node's resolvers, one after the other.
func (s *Server) forward(ctx context.Context, protocol string, asked *dns.Msg) *dns.Msg {
	failure := new(dns.Msg).SetRcode(asked, dns.RcodeServerFailure)
	failure.RecursionAvailable = true
	select {
	case s.forwards <- struct{}{}:
		defer func() { <-s.forwards }()
	default:
		return failure
	}
	resolvers, err := s.config.Resolvers()
	if err != nil {
		s.config.Log.V(1).Info("Finding the node's resolvers failed", "error", err.Error())
		return failure
	}
	resolver := dns.Client{Net: protocol, Timeout: upstreamTimeout, UDPSize: dns.DefaultMsgSize}
	for _, server := range resolvers {
		answer, _, err := resolver.ExchangeContext(ctx, asked, server)
		if err == nil && answer.Rcode != dns.RcodeServerFailure && answer.Rcode != dns.RcodeRefused {
			answer.Id = asked.Id
			return answer
		}
		if ctx.Err() != nil {
			break
		}
	}
	return failure
}
