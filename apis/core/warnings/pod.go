package warnings

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"

	"github.com/coracle-k8s/coracle/apis/core/node"
	"github.com/coracle-k8s/coracle/apis/core/pod"
	"github.com/coracle-k8s/coracle/apis/core/validation/container"
)

// PodWarnings returns warnings about what is legal in a new pod but probably a mistake or on its
// way out.
func PodWarnings(p *corev1.Pod) []string {
	var warnings []string
	if msgs := validation.IsDNS1123Label(p.Name); len(msgs) > 0 {
		warnings = []string{fmt.Sprintf("metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: %v", msgs)}
	}
	return append(warnings, podWarnings(&corev1.PodTemplateSpec{ObjectMeta: p.ObjectMeta, Spec: p.Spec}, nil)...)
}

// PodTemplateWarnings returns PodWarnings of a template at fldPath. An update
// of the template gets all of them again, as upstream does.
func PodTemplateWarnings(t, _ *corev1.PodTemplateSpec, fldPath *field.Path) []string {
	return podWarnings(t, fldPath)
}

// WorkloadWarnings returns warnings about what is legal in the template of a workload's pods but
// probably a mistake, and, unless name is empty, in their owner's name.
func WorkloadWarnings(name string, t, old *corev1.PodTemplateSpec) []string {
	var warnings []string
	if msgs := validation.IsDNS1123Label(name); name != "" && len(msgs) > 0 {
		warnings = []string{fmt.Sprintf("metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: %v", msgs)}
	}
	return append(warnings, PodTemplateWarnings(t, old, field.NewPath("spec", "template"))...)
}

func podWarnings(t *corev1.PodTemplateSpec, fldPath *field.Path) []string {
	w := warner{}
	spec, s := fldPath.Child("spec"), &t.Spec
	for _, key := range slices.Sorted(maps.Keys(s.NodeSelector)) {
		if msg := DeprecatedNodeLabel(key); msg != "" {
			w.add(spec.Child("nodeSelector").Key(key), "%s", msg)
		}
	}
	if s.Affinity != nil {
		w.nodeAffinity(spec.Child("affinity", "nodeAffinity"), s.Affinity.NodeAffinity)
	}
	for i, c := range s.TopologySpreadConstraints {
		at := spec.Child("topologySpreadConstraints").Index(i)
		w.deprecatedLabel(at.Child("topologyKey"), c.TopologyKey)
		w.nullSelector(at, c.LabelSelector)
	}
	w.annotations(fldPath.Child("metadata", "annotations"), t.Annotations)
	for i := range s.Volumes {
		w.volume(spec.Child("volumes").Index(i), &s.Volumes[i])
	}
	w.overlaps(s.Volumes)
	w.duplicates(spec, s)
	w.bytes(spec.Child("overhead"), s.Overhead, corev1.ResourceMemory)
	w.bytes(spec.Child("overhead"), s.Overhead, corev1.ResourceEphemeralStorage)
	w.profiles(fldPath, t)
	w.ports(spec, s)
	if g := s.TerminationGracePeriodSeconds; g != nil && *g < 0 {
		w.add(spec.Child("terminationGracePeriodSeconds"), "must be >= 0; negative values are invalid and will be treated as 1")
	}
	if a := s.Affinity; a != nil && a.PodAffinity != nil {
		w.podAffinity(spec.Child("affinity", "podAffinity"), a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution, a.PodAffinity.PreferredDuringSchedulingIgnoredDuringExecution)
	}
	if a := s.Affinity; a != nil && a.PodAntiAffinity != nil {
		w.podAffinity(spec.Child("affinity", "podAntiAffinity"), a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution, a.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution)
	}
	if s.DNSConfig != nil {
		for i, ip := range s.DNSConfig.Nameservers {
			w.ip(spec.Child("dnsConfig", "nameservers").Index(i), ip)
		}
	}
	for i, a := range s.HostAliases {
		w.ip(spec.Child("hostAliases").Index(i).Child("ip"), a.IP)
	}
	return w.list
}

// warner collects warnings in order.
type warner struct{ list []string }

func (w *warner) add(fldPath *field.Path, format string, args ...any) {
	w.list = append(w.list, fmt.Sprintf("%s: %s", fldPath, fmt.Sprintf(format, args...)))
}

// ip adds a warning for an address that is written in an ambiguous way. A value
// that is no address gets no warning: reporting it is validation's task.
func (w *warner) ip(fldPath *field.Path, v string) {
	if netutils.ParseIPSloppy(v) != nil {
		w.list = append(w.list, validation.GetWarningsForIP(fldPath, v)...)
	}
}

func (w *warner) cidr(fldPath *field.Path, v string) {
	if _, _, err := netutils.ParseCIDRSloppy(v); err == nil {
		w.list = append(w.list, validation.GetWarningsForCIDR(fldPath, v)...)
	}
}

func (w *warner) deprecatedLabel(fldPath *field.Path, key string) {
	if msg := DeprecatedNodeLabel(key); msg != "" {
		w.add(fldPath, "%s is %s", key, msg)
	}
}

// DeprecatedNodeLabel returns which label took the place of key, and since when; "" for
// labels that are not deprecated.
func DeprecatedNodeLabel(key string) string {
	since := func(version, label string) string {
		return fmt.Sprintf("deprecated since %s; use %q instead", version, label)
	}
	switch key {
	case node.LabelBetaArch:
		return since("v1.14", corev1.LabelArchStable)
	case node.LabelBetaOS:
		return since("v1.14", corev1.LabelOSStable)
	case corev1.LabelFailureDomainBetaRegion:
		return since("v1.17", corev1.LabelTopologyRegion)
	case corev1.LabelFailureDomainBetaZone:
		return since("v1.17", corev1.LabelTopologyZone)
	case corev1.LabelInstanceType:
		return since("v1.17", corev1.LabelInstanceTypeStable)
	case "app.kubernetes.io/created-by":
		return "deprecated since v1.9"
	case "scheduler.alpha.kubernetes.io/preferAvoidPods":
		return "deprecated since v1.22; use Taints and Tolerations instead"
	case "node-role.kubernetes.io/master":
		return `use "node-role.kubernetes.io/control-plane" instead`
	}
	return ""
}

func (w *warner) annotations(fldPath *field.Path, a map[string]string) {
	for _, gone := range []struct{ key, since, field string }{
		{"scheduler.alpha.kubernetes.io/critical-pod", "v1.16", "priorityClassName"},
		{"security.alpha.kubernetes.io/sysctls", "v1.11", "sysctls"},
		{"security.alpha.kubernetes.io/unsafe-sysctls", "v1.11", "sysctls"},
	} {
		if _, ok := a[gone.key]; ok {
			w.nonFunctional(fldPath.Key(gone.key), gone.since, gone.field)
		}
	}
}

func (w *warner) nonFunctional(fldPath *field.Path, since, field string) {
	w.add(fldPath, "non-functional in %s+; use the %q field instead", since, field)
}

func (w *warner) nodeAffinity(fldPath *field.Path, a *corev1.NodeAffinity) {
	if a == nil {
		return
	}
	if r := a.RequiredDuringSchedulingIgnoredDuringExecution; r != nil {
		for i := range r.NodeSelectorTerms {
			w.nodeTerm(fldPath.Child("requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms").Index(i), &r.NodeSelectorTerms[i], false)
		}
	}
	for i := range a.PreferredDuringSchedulingIgnoredDuringExecution {
		w.nodeTerm(fldPath.Child("preferredDuringSchedulingIgnoredDuringExecution").Index(i).Child("preference"),
			&a.PreferredDuringSchedulingIgnoredDuringExecution[i].Preference, true)
	}
}

// nodeTerm warns of deprecated labels and, if asked to, of values that no label can have.
func (w *warner) nodeTerm(fldPath *field.Path, t *corev1.NodeSelectorTerm, values bool) {
	for i, r := range t.MatchExpressions {
		at := fldPath.Child("matchExpressions").Index(i)
		w.deprecatedLabel(at.Child("key"), r.Key)
		for j, v := range r.Values {
			if msgs := validation.IsValidLabelValue(v); values {
				for _, msg := range msgs {
					w.add(at.Child("values").Index(j), "%s is invalid, %s", v, msg)
				}
			}
		}
	}
}

func (w *warner) podAffinity(fldPath *field.Path, required []corev1.PodAffinityTerm, preferred []corev1.WeightedPodAffinityTerm) {
	for i := range required {
		w.nullSelector(fldPath.Child("requiredDuringSchedulingIgnoredDuringExecution").Index(i), required[i].LabelSelector)
	}
	for i := range preferred {
		w.nullSelector(fldPath.Child("preferredDuringSchedulingIgnoredDuringExecution").Index(i).Child("podAffinityTerm"), preferred[i].PodAffinityTerm.LabelSelector)
	}
}

func (w *warner) nullSelector(fldPath *field.Path, s *metav1.LabelSelector) {
	if s == nil {
		w.add(fldPath.Child("labelSelector"), "a null labelSelector results in matching no pod")
	}
}

// duplicates warns of entries of lists that are there twice.
func (w *warner) duplicates(spec *field.Path, s *corev1.PodSpec) {
	seen := sets.New[string]()
	for i, a := range s.HostAliases {
		if seen.Has(a.IP) {
			w.add(spec.Child("hostAliases").Index(i).Child("ip"), "duplicate ip %q", a.IP)
		}
		seen.Insert(a.IP)
	}
	seen.Clear()
	for i, r := range s.ImagePullSecrets {
		if seen.Has(r.Name) {
			w.add(spec.Child("imagePullSecrets").Index(i).Child("name"), "duplicate name %q", r.Name)
		}
		seen.Insert(r.Name)
	}
	for i, r := range s.ImagePullSecrets {
		if r.Name == "" {
			w.add(spec.Child("imagePullSecrets").Index(i).Child("name"), "invalid empty name %q", r.Name)
		}
	}
}

// profiles warns of annotations that fields took the place of, and of what is
// odd in a container.
func (w *warner) profiles(fldPath *field.Path, t *corev1.PodTemplateSpec) {
	annotations, sc := fldPath.Child("metadata", "annotations"), t.Spec.SecurityContext
	if _, ok := t.Annotations[container.SeccompPod]; ok && (sc == nil || sc.SeccompProfile == nil) {
		w.nonFunctional(annotations.Key(container.SeccompPod), "v1.27", "seccompProfile")
	}
	pod.VisitContainersWithPath(&t.Spec, fldPath.Child("spec"), func(at *field.Path, c *corev1.Container) {
		own := c.SecurityContext
		key := container.SeccompContainer + c.Name
		if _, ok := t.Annotations[key]; ok && (own == nil || own.SeccompProfile == nil) {
			w.nonFunctional(annotations.Key(key), "v1.27", "seccompProfile")
		}
		key = container.AppArmorContainer + c.Name
		v, ok := t.Annotations[key]
		if fldPath != nil && ok && (own == nil || own.AppArmorProfile == nil) && // pods have it made a field
			(sc == nil || sc.AppArmorProfile == nil || !equality.Semantic.DeepEqual(sc.AppArmorProfile, AppArmorProfile(v))) {
			w.add(annotations.Key(key), `deprecated since v1.30; use the "appArmorProfile" field instead`)
		}
		w.container(at, c)
	})
}

// PodStatusWarnings returns a warning for each ambiguous address of a pod.
func PodStatusWarnings(p *corev1.Pod) []string {
	w, status := warner{}, field.NewPath("status")
	for i, ip := range p.Status.PodIPs {
		w.ip(status.Child("podIPs").Index(i).Child("ip"), ip.IP)
	}
	for i, ip := range p.Status.HostIPs {
		w.ip(status.Child("hostIPs").Index(i).Child("ip"), ip.IP)
	}
	return w.list
}

func (w *warner) container(fldPath *field.Path, c *corev1.Container) {
	for _, name := range []corev1.ResourceName{corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
		w.bytes(fldPath.Child("resources", "limits"), c.Resources.Limits, name)
		w.bytes(fldPath.Child("resources", "requests"), c.Resources.Requests, name)
	}
	names := sets.New[string]()
	for i, e := range c.Env {
		ref := "$(" + e.Name + ")"
		if names.Has(e.Name) && (e.ValueFrom != nil || e.Value == ref || !strings.Contains(e.Value, ref)) {
			w.add(fldPath.Child("env").Index(i), "hides previous definition of %q, which may be dropped when using apply", e.Name)
		}
		names.Insert(e.Name)
	}
}

// bytes warns of an amount that is no whole number.
func (w *warner) bytes(fldPath *field.Path, list corev1.ResourceList, name corev1.ResourceName) {
	if q := list[name]; q.MilliValue()%1000 != 0 {
		w.add(fldPath.Key(string(name)), "fractional byte value %q is invalid, must be an integer", q.String())
	}
}

// ports warns of ports that two entries claim, and of names that two have.
func (w *warner) ports(spec *field.Path, s *corev1.PodSpec) {
	type entry struct {
		at *field.Path
		corev1.ContainerPort
	}
	var seen, named []entry
	pod.VisitContainersWithPath(s, spec, func(at *field.Path, c *corev1.Container) {
		for i, p := range c.Ports {
			at := at.Child("ports").Index(i)
			if p.HostIP != "" && p.HostPort == 0 {
				w.add(at, "hostIP set without hostPort: %+v", p)
			}
			for _, o := range seen {
				if p.ContainerPort != o.ContainerPort.ContainerPort || p.Protocol != o.Protocol {
					continue
				}
				switch {
				case p.HostIP == o.HostIP && p.HostPort == o.HostPort:
					w.add(at, "duplicate port definition with %s", o.at)
				case p.HostPort == 0 || o.HostPort == 0:
					w.add(at, "overlapping port definition with %s", o.at)
				case p.HostPort == o.HostPort && (p.HostIP == "") != (o.HostIP == ""):
					w.add(at, "dangerously ambiguous port definition with %s", o.at)
				}
			}
			seen = append(seen, entry{at, p})
		}
	})
	for _, e := range seen {
		i := slices.IndexFunc(named, func(o entry) bool { return o.Name == e.Name })
		switch {
		case e.Name == "":
		case i < 0:
			named = append(named, e)
		default:
			w.add(e.at, "duplicate port name %q with %s, services and probes that select ports by name will use %s", e.Name, named[i].at, named[i].at)
		}
	}
}
