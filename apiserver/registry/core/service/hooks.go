package service

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/validate/content"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/util/dryrun"
)

// beginCreate allocates before validation, which so sees the whole Service.
func (a *allocator) beginCreate(ctx context.Context, obj runtime.Object, o *metav1.CreateOptions) (genericregistry.FinishFunc, error) {
	s := obj.(*corev1.Service)
	// Nothing can be booked for such a name, which validation refuses.
	nameless := s.Name == "" || len(content.IsPathSegmentName(s.Name)) > 0
	return a.allocate(ctx, s, nil, nameless || dryrun.IsDryRun(o.DryRun))
}

func (a *allocator) beginUpdate(ctx context.Context, obj, old runtime.Object, o *metav1.UpdateOptions) (genericregistry.FinishFunc, error) {
	s, was := obj.(*corev1.Service), old.(*corev1.Service)
	dropForType(s, was)
	keepAllocated(s, was)
	return a.allocate(ctx, s, was, dryrun.IsDryRun(o.DryRun))
}

func (a *allocator) afterDelete(obj runtime.Object, o *metav1.DeleteOptions) {
	if s, ok := obj.(*corev1.Service); ok && (o == nil || !dryrun.IsDryRun(o.DryRun)) {
		// An entry that stays in the book is found by repair: the Service is gone already.
		_ = a.release(context.Background(), s)
	}
}

// allocate gives s what it lacks in comparison with old, nil for a new one. A
// dry run is shown what it would get, and then it is given back.
func (a *allocator) allocate(ctx context.Context, s, old *corev1.Service, dryRun bool) (genericregistry.FinishFunc, error) {
	t, err := a.begin(ctx, s, dryRun)
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	syncClusterIPs(s, old)
	addresses := func(s, old *corev1.Service) error { return t.clusterIPs(ctx, s, old) }
	for _, step := range []func(s, old *corev1.Service) error{t.families, addresses, t.nodePorts, t.healthCheckPort} {
		if err := step(s, old); err != nil {
			t.end(ctx, false)
			return nil, err
		}
	}
	return func(ctx context.Context, success bool) { t.end(ctx, success && !dryRun) }, nil
}

func invalid(s *corev1.Service, errs ...*field.Error) error {
	return apierrors.NewInvalid(corev1.SchemeGroupVersion.WithKind("Service").GroupKind(), s.Name, errs)
}

func (t *transaction) clusterIPs(ctx context.Context, s, old *corev1.Service) error {
	var was []string
	if old != nil {
		was = clusterIPs(old)
	}
	if hasAddress(s) && !headless(s) && len(clusterIPs(s)) == 0 {
		ip, err := t.nextIP(ctx)
		if err != nil {
			return apierrors.NewInternalError(fmt.Errorf("failed to allocate a serviceIP: %w", err))
		}
		s.Spec.ClusterIP, s.Spec.ClusterIPs = ip, []string{ip}
		was = append(was, ip)
	}
	now := clusterIPs(s)
	if len(was) > 0 && len(now) > 0 && was[0] != now[0] {
		return nil // validation refuses another first address
	}
	for _, ip := range now {
		if slices.Contains(was, ip) {
			continue
		}
		if err := t.takeIP(ctx, ip); err != nil {
			return invalid(s, field.Invalid(field.NewPath("spec", "clusterIPs"), s.Spec.ClusterIPs, fmt.Sprintf("failed to allocate IP %v: %v", ip, err)))
		}
	}
	for _, ip := range was {
		if !slices.Contains(now, ip) {
			t.abandonIP(ip)
		}
	}
	return nil
}

// nodePorts shares one node port between the protocols of a port, as DNS needs.
func (t *transaction) nodePorts(s, old *corev1.Service) error {
	held := map[int32]bool{}
	if old != nil {
		for i := range old.Spec.Ports {
			if port := old.Spec.Ports[i].NodePort; port != 0 {
				held[port] = true
			}
		}
	}
	wanted := map[int32]bool{}
	if mayHaveNodePorts(s) {
		if err := t.portsOf(s, held, wanted); err != nil {
			return err
		}
	}
	if old == nil {
		return nil
	}
	for i := range old.Spec.Ports {
		if port := old.Spec.Ports[i].NodePort; port != 0 && !wanted[port] {
			t.abandonPort(port)
			wanted[port] = true // once is enough
		}
	}
	return nil
}

// portsOf fills wanted with the node ports of s, taking those not held.
func (t *transaction) portsOf(s *corev1.Service, held, wanted map[int32]bool) error {
	type use struct {
		protocol corev1.Protocol
		port     int32
	}
	byPort, used := map[int32]int32{}, map[use]bool{}
	for i := range s.Spec.Ports {
		p := &s.Spec.Ports[i]
		if p.NodePort == 0 {
			continue
		}
		if !held[p.NodePort] && !wanted[p.NodePort] {
			if err := t.takePort(p.NodePort); err != nil {
				return invalid(s, field.Invalid(field.NewPath("spec", "ports").Index(i).Child("nodePort"), p.NodePort, err.Error()))
			}
		}
		wanted[p.NodePort], byPort[p.Port], used[use{p.Protocol, p.NodePort}] = true, p.NodePort, true
	}
	if !needsNodePorts(s) {
		return nil
	}
	for i := range s.Spec.Ports {
		p := &s.Spec.Ports[i]
		if p.NodePort != 0 {
			continue
		}
		if shared := byPort[p.Port]; shared != 0 && !used[use{p.Protocol, shared}] {
			p.NodePort = shared
		} else {
			port, err := t.nextPort()
			if err != nil {
				return apierrors.NewInternalError(fmt.Errorf("failed to allocate a nodePort: %w", err))
			}
			p.NodePort, wanted[port] = port, true
		}
		byPort[p.Port], used[use{p.Protocol, p.NodePort}] = p.NodePort, true
	}
	return nil
}

func (t *transaction) healthCheckPort(s, old *corev1.Service) error {
	var was int32
	if old != nil {
		was = old.Spec.HealthCheckNodePort
	}
	var now int32
	if needsHealthCheckPort(s) {
		now = s.Spec.HealthCheckNodePort
		switch {
		case now == 0:
			port, err := t.nextPort()
			if err != nil {
				return apierrors.NewInternalError(fmt.Errorf("failed to allocate a HealthCheck NodePort: %w", err))
			}
			now, s.Spec.HealthCheckNodePort = port, port
		case now != was:
			if err := t.takePort(now); err != nil {
				return apierrors.NewInternalError(fmt.Errorf("failed to allocate requested HealthCheck NodePort %v: %w", now, err))
			}
		}
	}
	if was != 0 && was != now {
		t.abandonPort(was)
	}
	return nil
}
