package pod

import (
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	corepod "github.com/coracle-k8s/coracle/apis/core/pod"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

func table() *registry.Table[*corev1.Pod] {
	return &registry.Table[*corev1.Pod]{
		Columns: []metav1.TableColumnDefinition{
			registry.NameColumn(), registry.Column("Ready"), registry.Column("Status"), registry.Column("Restarts"), registry.Column("Age"),
			registry.Wide(registry.Column("IP")), registry.Wide(registry.Column("Node")),
			registry.Wide(registry.Column("Nominated Node")), registry.Wide(registry.Column("Readiness Gates")),
		},
		Cells: cells,
	}
}

func cells(p *corev1.Pod, now time.Time) []any {
	s := summarize(p)
	restarts := strconv.Itoa(s.restarts)
	if s.restarts != 0 && !s.lastRestart.IsZero() {
		restarts = fmt.Sprintf("%d (%s ago)", s.restarts, registry.Age(s.lastRestart, now))
	}
	ip := ""
	if len(p.Status.PodIPs) > 0 {
		ip = p.Status.PodIPs[0].IP
	}
	return []any{p.Name, fmt.Sprintf("%d/%d", s.ready, s.total), s.status, restarts, registry.Age(p.CreationTimestamp, now),
		orNone(ip), orNone(p.Spec.NodeName), orNone(p.Status.NominatedNodeName), gates(p)}
}

func orNone(s string) string {
	if s == "" {
		return registry.None
	}
	return s
}

func gates(p *corev1.Pod) string {
	if len(p.Spec.ReadinessGates) == 0 {
		return registry.None
	}
	passed := 0
	for _, g := range p.Spec.ReadinessGates {
		if c := corepod.GetCondition(&p.Status, g.ConditionType); c != nil && c.Status == corev1.ConditionTrue {
			passed++
		}
	}
	return fmt.Sprintf("%d/%d", passed, len(p.Spec.ReadinessGates))
}

// summary is the part of a row about a pod's containers. status is kubectl's
// STATUS: the phase, or the reason why the pod is not further.
type summary struct {
	status       string
	ready, total int
	tally
}

// tally counts restarts.
type tally struct {
	restarts    int
	lastRestart metav1.Time
}

func (t *tally) add(c *corev1.ContainerStatus) {
	t.restarts += int(c.RestartCount)
	if ended := c.LastTerminationState.Terminated; ended != nil && t.lastRestart.Before(&ended.FinishedAt) {
		t.lastRestart = ended.FinishedAt
	}
}

func summarize(p *corev1.Pod) summary {
	s := summary{status: string(p.Status.Phase), total: len(p.Spec.Containers)}
	if p.Status.Reason != "" {
		s.status = p.Status.Reason
	}
	if c := corepod.GetCondition(&p.Status, corev1.PodScheduled); c != nil && c.Reason == corev1.PodReasonSchedulingGated {
		s.status = corev1.PodReasonSchedulingGated
	}
	sidecars := map[string]bool{}
	for i := range p.Spec.InitContainers {
		if corepod.IsSidecar(&p.Spec.InitContainers[i]) {
			sidecars[p.Spec.InitContainers[i].Name] = true
			s.total++
		}
	}
	sidecarTally, initializing := s.initContainers(p, sidecars)
	initialized := corepod.GetCondition(&p.Status, corev1.PodInitialized)
	if !initializing || initialized != nil && initialized.Status == corev1.ConditionTrue {
		s.tally = sidecarTally
		s.containers(p)
	}
	switch {
	case p.DeletionTimestamp == nil:
	case p.Status.Reason == "NodeLost":
		s.status = "Unknown"
	case !corepod.IsTerminal(p):
		s.status = "Terminating"
	}
	return s
}

// initContainers goes through them up to the first that holds the others up,
// and returns the restarts of sidecars, which go on counting later.
func (s *summary) initContainers(p *corev1.Pod, sidecars map[string]bool) (sidecarTally tally, initializing bool) {
	for i := range p.Status.InitContainerStatuses {
		c := &p.Status.InitContainerStatuses[i]
		s.add(c)
		if sidecars[c.Name] {
			sidecarTally.add(c)
		}
		ended, waiting := c.State.Terminated, c.State.Waiting
		switch {
		case ended != nil && ended.ExitCode == 0:
			continue
		case sidecars[c.Name] && c.Started != nil && *c.Started:
			if c.Ready {
				s.ready++
			}
			continue
		case ended != nil:
			s.status = "Init:" + why(ended)
		case waiting != nil && waiting.Reason != "" && waiting.Reason != "PodInitializing":
			s.status = "Init:" + waiting.Reason
		default:
			s.status = fmt.Sprintf("Init:%d/%d", i, len(p.Spec.InitContainers))
		}
		return sidecarTally, true
	}
	return sidecarTally, false
}

// containers sets the status from the containers; the first one with a reason wins.
func (s *summary) containers(p *corev1.Pod) {
	running := false
	for i := len(p.Status.ContainerStatuses) - 1; i >= 0; i-- {
		c := &p.Status.ContainerStatuses[i]
		s.add(c)
		switch {
		case c.State.Waiting != nil && c.State.Waiting.Reason != "":
			s.status = c.State.Waiting.Reason
		case c.State.Terminated != nil:
			s.status = why(c.State.Terminated)
		case c.Ready && c.State.Running != nil:
			running = true
			s.ready++
		}
	}
	if s.status == "Completed" && running {
		s.status = "NotReady"
		if corepod.IsReady(p) {
			s.status = "Running"
		}
	}
}

func why(ended *corev1.ContainerStateTerminated) string {
	switch {
	case ended.Reason != "":
		return ended.Reason
	case ended.Signal != 0:
		return fmt.Sprintf("Signal:%d", ended.Signal)
	}
	return fmt.Sprintf("ExitCode:%d", ended.ExitCode)
}
