package core

import (
	"github.com/distribution/reference"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

const (
	// defaultTokenSeconds is the life of a projected service account token.
	// (The ServiceAccount admission plugin sets 3607 on those it adds itself.)
	defaultTokenSeconds int64 = 60 * 60
	// defaultCertificateSeconds is the life of a projected pod certificate.
	defaultCertificateSeconds int32 = 24 * 60 * 60
)

// SetPodDefaults fills in what a pod leaves out. A template gets less: see
// SetPodSpecDefaults, which this includes.
func SetPodDefaults(p *corev1.Pod) {
	for i := range p.Spec.Containers {
		requestsFromLimits(&p.Spec.Containers[i].Resources)
	}
	for i := range p.Spec.InitContainers {
		requestsFromLimits(&p.Spec.InitContainers[i].Resources)
	}
	if p.Spec.EnableServiceLinks == nil {
		p.Spec.EnableServiceLinks = new(corev1.DefaultEnableServiceLinks)
	}
	if p.Spec.HostNetwork {
		hostPorts(p.Spec.Containers)
		hostPorts(p.Spec.InitContainers)
	}
	SetPodSpecDefaults(&p.Spec)
	if g := p.Spec.TerminationGracePeriodSeconds; g != nil && *g < 0 {
		p.Spec.TerminationGracePeriodSeconds = new(int64(1))
	}
	SyncPodIPs(&p.Status)
	roundResources(p.Status.AllocatedResources)
	if p.Status.Resources != nil {
		roundRequirements(p.Status.Resources)
	}
	for _, list := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses, p.Status.EphemeralContainerStatuses} {
		for i := range list {
			roundResources(list[i].AllocatedResources)
			if list[i].Resources != nil {
				roundRequirements(list[i].Resources)
			}
		}
	}
}

// SetPodTemplateDefaults fills in what the pod template of a workload leaves out.
func SetPodTemplateDefaults(t *corev1.PodTemplateSpec) { SetPodSpecDefaults(&t.Spec) }

// SetPodSpecDefaults fills in what both pods and templates get. What depends
// on the pod itself (requests from limits, service links, host ports) is left
// to SetPodDefaults, because a template must stay as its author wrote it.
func SetPodSpecDefaults(s *corev1.PodSpec) {
	setIfZero(&s.DNSPolicy, corev1.DNSClusterFirst)
	setIfZero(&s.RestartPolicy, corev1.RestartPolicyAlways)
	setIfZero(&s.SchedulerName, corev1.DefaultSchedulerName)
	setIfNil(&s.SecurityContext, corev1.PodSecurityContext{})
	setIfNil(&s.TerminationGracePeriodSeconds, int64(corev1.DefaultTerminationGracePeriodSeconds))
	SyncServiceAccount(s)
	for i := range s.Volumes {
		setVolumeDefaults(&s.Volumes[i])
	}
	for i := range s.InitContainers {
		setContainerDefaults(&s.InitContainers[i])
	}
	for i := range s.Containers {
		setContainerDefaults(&s.Containers[i])
	}
	for i := range s.EphemeralContainers {
		setContainerDefaults((*corev1.Container)(&s.EphemeralContainers[i].EphemeralContainerCommon))
	}
	roundResources(s.Overhead)
	if s.Resources != nil {
		roundRequirements(s.Resources)
	}
}

// SyncServiceAccount keeps serviceAccount, the old name of the field, equal to
// serviceAccountName. Code that changes the latter later must call it again.
func SyncServiceAccount(s *corev1.PodSpec) {
	setIfZero(&s.ServiceAccountName, s.DeprecatedServiceAccount)
	s.DeprecatedServiceAccount = s.ServiceAccountName
}

// SyncPodIPs keeps podIP and podIPs in step: podIP is the first of podIPs, and
// wins when they differ.
func SyncPodIPs(s *corev1.PodStatus) {
	switch {
	case s.PodIP == "" && len(s.PodIPs) > 0:
		s.PodIP = s.PodIPs[0].IP
	case s.PodIP != "" && (len(s.PodIPs) == 0 || s.PodIPs[0].IP != s.PodIP):
		s.PodIPs = []corev1.PodIP{{IP: s.PodIP}}
	}
}

func setContainerDefaults(c *corev1.Container) {
	setIfZero(&c.ImagePullPolicy, pullPolicy(c.Image))
	setIfZero(&c.TerminationMessagePath, corev1.TerminationMessagePathDefault)
	setIfZero(&c.TerminationMessagePolicy, corev1.TerminationMessageReadFile)
	for i := range c.Ports {
		setIfZero(&c.Ports[i].Protocol, corev1.ProtocolTCP)
	}
	for i := range c.Env {
		if v := c.Env[i].ValueFrom; v != nil {
			setFieldRefDefaults(v.FieldRef)
			if v.FileKeyRef != nil {
				setIfNil(&v.FileKeyRef.Optional, false)
			}
		}
	}
	roundRequirements(&c.Resources)
	for _, p := range []*corev1.Probe{c.LivenessProbe, c.ReadinessProbe, c.StartupProbe} {
		setProbeDefaults(p)
	}
	if c.Lifecycle != nil {
		for _, h := range []*corev1.LifecycleHandler{c.Lifecycle.PostStart, c.Lifecycle.PreStop} {
			if h != nil {
				setHTTPGetDefaults(h.HTTPGet)
			}
		}
	}
}

func setProbeDefaults(p *corev1.Probe) {
	if p == nil {
		return
	}
	setIfZero(&p.TimeoutSeconds, 1)
	setIfZero(&p.PeriodSeconds, 10)
	setIfZero(&p.SuccessThreshold, 1)
	setIfZero(&p.FailureThreshold, 3)
	setHTTPGetDefaults(p.HTTPGet)
	if p.GRPC != nil {
		setIfNil(&p.GRPC.Service, "")
	}
}

func setHTTPGetDefaults(h *corev1.HTTPGetAction) {
	if h != nil {
		setIfZero(&h.Path, "/")
		setIfZero(&h.Scheme, corev1.URISchemeHTTP)
	}
}

func setFieldRefDefaults(f *corev1.ObjectFieldSelector) {
	if f != nil {
		setIfZero(&f.APIVersion, "v1")
	}
}

// pullPolicy returns Always for images that may change under their name: those of the
// tag latest, named or implied. A string that is no reference of an image has no tag.
func pullPolicy(image string) corev1.PullPolicy {
	ref, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return corev1.PullIfNotPresent
	}
	tagged, ok := ref.(reference.Tagged)
	_, digested := ref.(reference.Digested)
	if ok && tagged.Tag() == "latest" || !ok && !digested {
		return corev1.PullAlways
	}
	return corev1.PullIfNotPresent
}

func requestsFromLimits(r *corev1.ResourceRequirements) {
	for name, limit := range r.Limits {
		if _, ok := r.Requests[name]; ok {
			continue
		}
		if r.Requests == nil {
			r.Requests = corev1.ResourceList{}
		}
		r.Requests[name] = limit.DeepCopy()
	}
}

func setResource(list *corev1.ResourceList, name corev1.ResourceName, q resource.Quantity) {
	if *list == nil {
		*list = corev1.ResourceList{}
	}
	(*list)[name] = q.DeepCopy()
}

func hostPorts(containers []corev1.Container) {
	for i := range containers {
		for j := range containers[i].Ports {
			p := &containers[i].Ports[j]
			setIfZero(&p.HostPort, p.ContainerPort)
		}
	}
}

// roundResources rounds amounts finer than a thousandth up to one: nothing
// in Kubernetes counts finer.
func roundResources(list corev1.ResourceList) {
	for name, q := range list {
		if !q.RoundUp(resource.Milli) {
			list[name] = q
		}
	}
}

func roundRequirements(r *corev1.ResourceRequirements) {
	roundResources(r.Limits)
	roundResources(r.Requests)
}

func setIfZero[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func setIfNil[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}
