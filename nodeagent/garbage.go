package nodeagent

import (
	"context"
	"path/filepath"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/coracle-k8s/coracle/nodeagent/images"
	"github.com/coracle-k8s/coracle/nodeagent/logs"
	"github.com/coracle-k8s/coracle/nodeagent/podconfig"
	"github.com/coracle-k8s/coracle/nodeagent/pods"
)

// The periods of housekeeping. Logs and disks grow without events.
const (
	imageInterval = 5 * time.Minute
	logInterval   = 10 * time.Second
)

// collectGarbage rotates logs and removes images that fill the disk, until ctx is done.
func (a *Agent) collectGarbage(ctx context.Context) error {
	imagesDue := a.config.Clock.Now().Add(imageInterval)
	for {
		a.pause(ctx, logInterval)
		if ctx.Err() != nil {
			return nil
		}
		a.rotateLogs(ctx)
		if now := a.config.Clock.Now(); !now.Before(imagesDue) {
			imagesDue = now.Add(imageInterval)
			a.collectImages(ctx, now)
		}
	}
}

// rotateLogs rotates the logs of running containers.
func (a *Agent) rotateLogs(ctx context.Context) {
	policy := logs.Policy{MaxSize: a.config.ContainerLogMaxSize, MaxFiles: a.config.ContainerLogMaxFiles}
	for file, id := range a.openLogs() {
		reopen := func() error {
			_, err := a.runtime.ReopenContainerLog(ctx, &runtimeapi.ReopenContainerLogRequest{ContainerId: id})
			return ignoreNotFound(err)
		}
		if err := logs.Rotate(file, policy, a.config.Clock.Now(), reopen); err != nil && ctx.Err() == nil {
			log.FromContext(ctx).Error(err, "A container's log was not rotated", "file", file)
		}
	}
}

// openLogs returns the log files of running containers, with the containers' IDs.
func (a *Agent) openLogs() map[string]string {
	out := map[string]string{}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, w := range a.workers {
		w.mu.Lock()
		for _, l := range w.logs {
			out[l.file] = l.id
		}
		w.mu.Unlock()
	}
	return out
}

// containerLog is the log file of a running container.
type containerLog struct{ id, file string }

// logsOf returns the logs of the pod's running containers.
func (w *worker) logsOf(dir string) []containerLog {
	var out []containerLog
	for i := range w.observed.Containers {
		if c := &w.observed.Containers[i]; c.State == pods.Running {
			out = append(out, containerLog{id: c.ID, file: filepath.Join(dir, podconfig.LogFile(c.Name, c.Attempt))})
		}
	}
	return out
}

// collectImages removes images while their file system is too full, and sets
// the node's DiskPressure if that does not suffice.
func (a *Agent) collectImages(ctx context.Context, now time.Time) {
	usage, err := a.imageUsage(ctx)
	if err != nil {
		log.FromContext(ctx).Error(err, "Image garbage was not collected")
		return
	}
	candidates, err := a.puller.Candidates(ctx, a.runtime, now)
	if err != nil {
		log.FromContext(ctx).Error(err, "Image garbage was not collected")
		return
	}
	freed := uint64(0)
	for _, c := range images.Removals(usage, a.config.ImageGCHighPercent, a.config.ImageGCLowPercent, a.config.ImageMinimumAge, candidates, now) {
		if err := a.puller.Remove(ctx, c.ID); err != nil {
			log.FromContext(ctx).Error(err, "An unused image was not removed")
			continue
		}
		freed += c.Size
	}
	// The kubelet's default hard eviction threshold for nodefs is 10 % free.
	pressure := usage.Capacity > 0 && (usage.Available+freed)*100/usage.Capacity < 10
	if a.diskPressure.Swap(pressure) != pressure {
		a.nodeStatus.Kick()
	}
}
