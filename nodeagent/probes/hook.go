package probes

import (
	"context"
	"fmt"
	"io"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"

	podapi "github.com/coracle-k8s/coracle/apis/core/pod"
)

// Hook runs a lifecycle handler until it is done or ctx is. The error has the
// words of the FailedPostStartHook and FailedPreStopHook events.
func (p *Prober) Hook(ctx context.Context, clock clock.Clock, t Target, h *corev1.LifecycleHandler) error {
	switch {
	case h.Exec != nil:
		output, code, err := p.Exec(ctx, t.ContainerID, h.Exec.Command, 0)
		if err != nil {
			return fmt.Errorf("Exec lifecycle hook (%q) for Container %q failed - error: %w", h.Exec.Command, t.Container.Name, err)
		}
		if code != 0 {
			return fmt.Errorf("Exec lifecycle hook (%q) for Container %q failed - error: command exited with %d, message: %q", h.Exec.Command, t.Container.Name, code, output)
		}
		return nil
	case h.HTTPGet != nil:
		return p.httpHook(ctx, t, h.HTTPGet)
	case h.Sleep != nil:
		timer := clock.NewTimer(podapi.Seconds(h.Sleep.Seconds))
		defer timer.Stop()
		select {
		case <-timer.C():
			return nil
		case <-ctx.Done():
			return fmt.Errorf("Sleep lifecycle hook (%d) for Container %q failed - error: %w", h.Sleep.Seconds, t.Container.Name, ctx.Err())
		}
	}
	return fmt.Errorf("invalid handler: %v", h)
}

func (p *Prober) httpHook(ctx context.Context, t Target, a *corev1.HTTPGetAction) error {
	request, err := p.request(ctx, t, a)
	if err != nil {
		return err
	}
	client := p.client()
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("HTTP lifecycle hook (%s) for Container %q failed - error: %w", a.Path, t.Container.Name, err)
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxBody))
	return nil
}
