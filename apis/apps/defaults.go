package apps

import (
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/coracle-k8s/coracle/apis/core"
)

func addDefaults(s *runtime.Scheme) {
	s.AddTypeDefaultingFunc(&appsv1.Deployment{}, func(obj any) { SetDefaultsDeployment(obj.(*appsv1.Deployment)) })
	s.AddTypeDefaultingFunc(&appsv1.DeploymentList{}, func(obj any) { each(obj.(*appsv1.DeploymentList).Items, SetDefaultsDeployment) })
	s.AddTypeDefaultingFunc(&appsv1.ReplicaSet{}, func(obj any) { SetDefaultsReplicaSet(obj.(*appsv1.ReplicaSet)) })
	s.AddTypeDefaultingFunc(&appsv1.ReplicaSetList{}, func(obj any) { each(obj.(*appsv1.ReplicaSetList).Items, SetDefaultsReplicaSet) })
	s.AddTypeDefaultingFunc(&appsv1.StatefulSet{}, func(obj any) { SetDefaultsStatefulSet(obj.(*appsv1.StatefulSet)) })
	s.AddTypeDefaultingFunc(&appsv1.StatefulSetList{}, func(obj any) { each(obj.(*appsv1.StatefulSetList).Items, SetDefaultsStatefulSet) })
	s.AddTypeDefaultingFunc(&appsv1.DaemonSet{}, func(obj any) { SetDefaultsDaemonSet(obj.(*appsv1.DaemonSet)) })
	s.AddTypeDefaultingFunc(&appsv1.DaemonSetList{}, func(obj any) { each(obj.(*appsv1.DaemonSetList).Items, SetDefaultsDaemonSet) })
}

func each[T any](items []T, f func(*T)) {
	for i := range items {
		f(&items[i])
	}
}

func orElse[T any](p **T, value T) {
	if *p == nil {
		*p = &value
	}
}

// SetDefaultsDeployment fills what apps/v1 documents as defaults.
func SetDefaultsDeployment(d *appsv1.Deployment) {
	core.SetPodTemplateDefaults(&d.Spec.Template)
	orElse(&d.Spec.Replicas, 1)
	if d.Spec.Strategy.Type == "" {
		d.Spec.Strategy.Type = appsv1.RollingUpdateDeploymentStrategyType
	}
	if d.Spec.Strategy.Type == appsv1.RollingUpdateDeploymentStrategyType {
		orElse(&d.Spec.Strategy.RollingUpdate, appsv1.RollingUpdateDeployment{})
		orElse(&d.Spec.Strategy.RollingUpdate.MaxUnavailable, intstr.FromString("25%"))
		orElse(&d.Spec.Strategy.RollingUpdate.MaxSurge, intstr.FromString("25%"))
	}
	orElse(&d.Spec.RevisionHistoryLimit, 10)
	orElse(&d.Spec.ProgressDeadlineSeconds, 600)
	setRollback(d)
}

// setRollback writes the revision to go back to as upstream's conversions do, which
// read it as a number of a field; whether it is one is seen when it is decoded.
func setRollback(d *appsv1.Deployment) {
	text, ok := d.Annotations[appsv1.DeprecatedRollbackTo]
	if !ok {
		return
	}
	if text == "" {
		delete(d.Annotations, appsv1.DeprecatedRollbackTo)
	} else if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		d.Annotations[appsv1.DeprecatedRollbackTo] = strconv.FormatInt(n, 10)
	}
}

// SetDefaultsReplicaSet fills what apps/v1 documents as defaults.
func SetDefaultsReplicaSet(rs *appsv1.ReplicaSet) {
	core.SetPodTemplateDefaults(&rs.Spec.Template)
	orElse(&rs.Spec.Replicas, 1)
}

// SetDefaultsStatefulSet fills what apps/v1 documents as defaults.
func SetDefaultsStatefulSet(sts *appsv1.StatefulSet) {
	core.SetPodTemplateDefaults(&sts.Spec.Template)
	for i := range sts.Spec.VolumeClaimTemplates {
		claim := &sts.Spec.VolumeClaimTemplates[i]
		core.SetPersistentVolumeClaimDefaults(claim)
		// Upstream's conversions drop what is here and put this in its place.
		claim.APIVersion, claim.Kind = corev1.SchemeGroupVersion.String(), "PersistentVolumeClaim"
	}
	if sts.Spec.PodManagementPolicy == "" {
		sts.Spec.PodManagementPolicy = appsv1.OrderedReadyPodManagement
	}
	if sts.Spec.UpdateStrategy.Type == "" {
		sts.Spec.UpdateStrategy.Type = appsv1.RollingUpdateStatefulSetStrategyType
		orElse(&sts.Spec.UpdateStrategy.RollingUpdate, appsv1.RollingUpdateStatefulSetStrategy{})
	}
	if u := sts.Spec.UpdateStrategy; u.Type == appsv1.RollingUpdateStatefulSetStrategyType && u.RollingUpdate != nil {
		orElse(&u.RollingUpdate.Partition, 0)
		orElse(&u.RollingUpdate.MaxUnavailable, intstr.FromInt32(1))
	}
	orElse(&sts.Spec.PersistentVolumeClaimRetentionPolicy, appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{})
	policy := sts.Spec.PersistentVolumeClaimRetentionPolicy
	if policy.WhenDeleted == "" {
		policy.WhenDeleted = appsv1.RetainPersistentVolumeClaimRetentionPolicyType
	}
	if policy.WhenScaled == "" {
		policy.WhenScaled = appsv1.RetainPersistentVolumeClaimRetentionPolicyType
	}
	orElse(&sts.Spec.Replicas, 1)
	orElse(&sts.Spec.RevisionHistoryLimit, 10)
}

// SetDefaultsDaemonSet fills what apps/v1 documents as defaults.
func SetDefaultsDaemonSet(ds *appsv1.DaemonSet) {
	core.SetPodTemplateDefaults(&ds.Spec.Template)
	if ds.Spec.UpdateStrategy.Type == "" {
		ds.Spec.UpdateStrategy.Type = appsv1.RollingUpdateDaemonSetStrategyType
	}
	if ds.Spec.UpdateStrategy.Type == appsv1.RollingUpdateDaemonSetStrategyType {
		orElse(&ds.Spec.UpdateStrategy.RollingUpdate, appsv1.RollingUpdateDaemonSet{})
		orElse(&ds.Spec.UpdateStrategy.RollingUpdate.MaxUnavailable, intstr.FromInt32(1))
	}
	if r := ds.Spec.UpdateStrategy.RollingUpdate; r != nil { // no pointers in upstream's internal type
		orElse(&r.MaxUnavailable, zero)
		orElse(&r.MaxSurge, zero)
	}
	orElse(&ds.Spec.RevisionHistoryLimit, 10)
}
