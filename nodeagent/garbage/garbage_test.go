package garbage

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/coracle-k8s/coracle/nodeagent/images"
	"github.com/coracle-k8s/coracle/nodeagent/logs"
	"github.com/coracle-k8s/coracle/nodeagent/runtime"
	"github.com/coracle-k8s/coracle/nodeagent/runtime/fake"
)

// hanging is a runtime that never reopens a log.
type hanging struct {
	runtime.Service
	asked chan struct{}
}

func (h *hanging) ReopenContainerLog(ctx context.Context, _ *runtimeapi.ReopenContainerLogRequest, _ ...grpc.CallOption) (*runtimeapi.ReopenContainerLogResponse, error) {
	if _, bounded := ctx.Deadline(); !bounded {
		panic("reopening a log has no time limit")
	}
	select {
	case h.asked <- struct{}{}:
	default:
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

// A runtime that hangs on a log keeps images from being looked at no more.
func TestAHungLogKeepsNoImages(t *testing.T) {
	clk := clocktesting.NewFakeClock(time.Now())
	machine := fake.New(clk)
	service := &hanging{machine, make(chan struct{}, 1)}
	log := filepath.Join(t.TempDir(), "0.log")
	c := &Collector{
		Clock: clk, Runtime: service, Puller: images.NewPuller(service, nil, t.TempDir()), Policy: logs.Policy{MaxSize: 1, MaxFiles: 2},
		Logs:         func() map[string]string { return map[string]string{log: "id"} },
		VolumeImages: func() []string { return nil }, HighPercent: 85, LowPercent: 80, Pressure: func(bool) {},
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = c.Run(ctx) }()
	await := func(what string, ready func() bool) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); !ready(); {
			if time.Now().After(end) {
				t.Fatalf("%s: not within 10 s", what)
			}
			clk.Step(time.Minute)
		}
	}
	await("reopening the log", func() bool {
		select {
		case <-service.asked:
			return true
		case <-time.After(10 * time.Millisecond):
			return false
		}
	})
	await("looking at images", func() bool {
		<-time.After(10 * time.Millisecond)
		return machine.Count("ImageFsInfo") > 0
	})
	cancel()
	<-done
}
