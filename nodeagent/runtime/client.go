package runtime

import (
	"context"
	"fmt"
	"strings"

	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Service is a container runtime with its images: the CRI services as generated.
type Service interface {
	runtimeapi.RuntimeServiceClient
	runtimeapi.ImageServiceClient
}

// Client is a Service over one connection. Calls wait for the runtime to be
// there, as long as their context allows.
type Client struct {
	runtimeapi.RuntimeServiceClient
	runtimeapi.ImageServiceClient
	conn *grpc.ClientConn
}

// maxMessage bounds one CRI message, as the kubelet does: 16 MiB.
const maxMessage = 16 << 20

// Dial prepares a connection to a CRI socket, a path, which may be relative, or unix:// URL. It does not
// wait for the runtime.
func Dial(endpoint string) (*Client, error) {
	path := strings.TrimPrefix(endpoint, "unix://")
	conn, err := grpc.NewClient("unix:"+path,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.WaitForReady(true)),
		grpc.WithConnectParams(grpc.ConnectParams{
			MinConnectTimeout: 5 * time.Second,
			Backoff:           backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1.6, MaxDelay: 2 * time.Second},
		}))
	if err != nil {
		return nil, fmt.Errorf("connecting to container runtime at %s: %w", path, err)
	}
	return &Client{
		RuntimeServiceClient: runtimeapi.NewRuntimeServiceClient(conn),
		ImageServiceClient:   runtimeapi.NewImageServiceClient(conn),
		conn:                 conn,
	}, nil
}

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }

// NotFound reports whether the object of a call does not exist in the runtime.
func NotFound(err error) bool { return status.Code(err) == codes.NotFound }

// Text returns the runtime's error message, without gRPC's wrapping.
func Text(err error) string {
	if s, ok := status.FromError(err); ok {
		return s.Message()
	}
	return err.Error()
}

// Events calls fn for every container event until ctx is done or the stream
// breaks; connected is called once the stream stands, before the first fn. The
// caller lists what happened before that.
func Events(ctx context.Context, s Service, connected func(), fn func(*runtimeapi.ContainerEventResponse)) error {
	stream, err := s.GetContainerEvents(ctx, &runtimeapi.GetEventsRequest{})
	if err != nil {
		return fmt.Errorf("watching container events: %w", err)
	}
	connected()
	for {
		event, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("watching container events: %w", err)
		}
		fn(event)
	}
}

// TimedOut reports whether a call, or the command it was to run, took too long.
func TimedOut(err error) bool { return status.Code(err) == codes.DeadlineExceeded }
