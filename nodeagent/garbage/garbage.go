// Package garbage keeps a node's disk from filling up: it rotates the logs of containers, and
// removes images that no container uses.
//
// The API of this package is not stable: see docs/api.md.
package garbage

import (
	"context"
	"sync"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/coracle-k8s/coracle/nodeagent/images"
	"github.com/coracle-k8s/coracle/nodeagent/logs"
	"github.com/coracle-k8s/coracle/nodeagent/runtime"
)

// The periods of housekeeping. Logs and disks grow without events.
const (
	imageInterval = 5 * time.Minute
	logInterval   = 10 * time.Second
)

// How long the runtime may take for one log, and for the images. Meanwhile the other goes on.
const (
	reopenLimit = 10 * time.Second
	imageLimit  = 2 * time.Minute
)

// Collector collects the garbage of one node. All fields are required.
type Collector struct {
	Clock   clock.WithTicker
	Runtime runtime.Service
	Puller  *images.Puller
	// Logs returns the log files of running containers, with the containers' IDs.
	Logs   func() map[string]string
	Policy logs.Policy
	// VolumeImages returns the references of images that pods have as volumes.
	VolumeImages func() []string
	// HighPercent and LowPercent of the image file system start and end the removal of images.
	// MinimumAge protects unused ones.
	HighPercent, LowPercent int
	MinimumAge              time.Duration
	// Pressure is called with whether the disk stays too full.
	Pressure func(bool)
}

// Run collects garbage until ctx is done.
func (c *Collector) Run(ctx context.Context) error {
	var running sync.WaitGroup
	running.Go(func() { c.every(ctx, logInterval, c.rotateLogs) })
	running.Go(func() { c.every(ctx, imageInterval, c.collectImages) })
	running.Wait()
	return nil
}

// every does something in turns until ctx is done.
func (c *Collector) every(ctx context.Context, interval time.Duration, do func(context.Context)) {
	ticker := c.Clock.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C():
		}
		do(ctx)
	}
}

func (c *Collector) rotateLogs(ctx context.Context) {
	for file, id := range c.Logs() {
		reopen := func() error {
			ctx, cancel := context.WithTimeout(ctx, reopenLimit)
			defer cancel()
			_, err := c.Runtime.ReopenContainerLog(ctx, &runtimeapi.ReopenContainerLogRequest{ContainerId: id})
			if runtime.NotFound(err) {
				return nil
			}
			return err
		}
		if err := logs.Rotate(file, c.Policy, c.Clock.Now(), reopen); err != nil && ctx.Err() == nil {
			log.FromContext(ctx).Error(err, "A container's log was not rotated", "file", file)
		}
	}
}

// collectImages removes images while their file system is too full.
func (c *Collector) collectImages(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, imageLimit)
	defer cancel()
	now := c.Clock.Now()
	usage, err := imageUsage(ctx, c.Runtime)
	if err != nil {
		log.FromContext(ctx).Error(err, "Image garbage was not collected")
		return
	}
	candidates, err := c.Puller.Candidates(ctx, c.Runtime, c.VolumeImages(), now)
	if err != nil {
		log.FromContext(ctx).Error(err, "Image garbage was not collected")
		return
	}
	freed := uint64(0)
	for _, image := range images.Removals(usage, c.HighPercent, c.LowPercent, c.MinimumAge, candidates, now) {
		if err := c.Puller.Remove(ctx, image.ID); err != nil {
			log.FromContext(ctx).Error(err, "An unused image was not removed")
			continue
		}
		freed += image.Size
	}
	// The kubelet's default hard eviction threshold for nodefs is 10 % free.
	c.Pressure(usage.Capacity > 0 && (usage.Available+freed)*100/usage.Capacity < 10)
}
