package apps

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/core"
	corewarnings "github.com/coracle-k8s/coracle/apis/core/warnings"
)

// DropDisabledFields clears alpha fields of a workload's template; old is the
// stored template, nil for a new object.
func DropDisabledFields(template, old *corev1.PodTemplateSpec) {
	core.DropDisabledTemplateFields(template, old)
}

// DeploymentWarnings returns warnings about what is legal in a Deployment but probably a mistake;
// old is nil on creation.
func DeploymentWarnings(d, old *appsv1.Deployment) []string {
	if old == nil {
		return corewarnings.WorkloadWarnings(d.Name, &d.Spec.Template, nil)
	}
	if d.Generation == old.Generation {
		return nil
	}
	return corewarnings.WorkloadWarnings("", &d.Spec.Template, &old.Spec.Template)
}

// ReplicaSetWarnings returns DeploymentWarnings of a ReplicaSet.
func ReplicaSetWarnings(rs, old *appsv1.ReplicaSet) []string {
	if old == nil {
		return corewarnings.WorkloadWarnings(rs.Name, &rs.Spec.Template, nil)
	}
	if rs.Generation == old.Generation {
		return nil
	}
	return corewarnings.WorkloadWarnings("", &rs.Spec.Template, &old.Spec.Template)
}

// DaemonSetWarnings returns DeploymentWarnings of a DaemonSet, whose name is in no host name.
func DaemonSetWarnings(ds, old *appsv1.DaemonSet) []string {
	if old == nil {
		return corewarnings.WorkloadWarnings("", &ds.Spec.Template, nil)
	}
	if ds.Annotations[appsv1.DeprecatedTemplateGeneration] == old.Annotations[appsv1.DeprecatedTemplateGeneration] {
		return nil
	}
	return corewarnings.WorkloadWarnings("", &ds.Spec.Template, &old.Spec.Template)
}

// StatefulSetWarnings returns DeploymentWarnings of a StatefulSet, whose name
// is checked by validation.
func StatefulSetWarnings(s, old *appsv1.StatefulSet) []string {
	var warnings []string
	switch {
	case old == nil:
		warnings = corewarnings.WorkloadWarnings("", &s.Spec.Template, nil)
	case s.Generation != old.Generation:
		warnings = corewarnings.WorkloadWarnings("", &s.Spec.Template, &old.Spec.Template)
	}
	for i := range s.Spec.VolumeClaimTemplates {
		if q, ok := s.Spec.VolumeClaimTemplates[i].Spec.Resources.Requests[corev1.ResourceStorage]; ok && q.MilliValue()%1000 != 0 {
			at := specPath.Child("volumeClaimTemplates").Index(i)
			if old != nil {
				at = at.Child("Spec") // upstream's path of an update
			}
			warnings = append(warnings, fmt.Sprintf("%s: fractional byte value %q is invalid, must be an integer", at.Child("resources", "requests").Key("storage"), q.String()))
		}
	}
	if ptr.Deref(s.Spec.RevisionHistoryLimit, 0) < 0 {
		warnings = append(warnings, "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended")
	}
	return warnings
}
