package core_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/randfill"

	"github.com/coracle-k8s/coracle/apis/core"
)

// twice validates one kind, as new and as an update of something else.
func twice[T any](create func(*T) field.ErrorList, updates ...func(now, old *T) field.ErrorList) func(*randfill.Filler, func(any)) {
	return func(f *randfill.Filler, defaults func(any)) {
		a, b := new(T), new(T)
		f.Fill(a)
		f.Fill(b)
		create(a)
		for _, u := range updates {
			u(a, b)
			u(a, a)
		}
		defaults(a)
		create(a)
		for _, u := range updates {
			u(a, b)
		}
	}
}

// TestNoPanic fills objects of every kind with noise. Nothing may panic, and
// defaults must be stable.
func TestNoPanic(t *testing.T) {
	s := scheme(t)
	defaults := func(o any) { s.Default(o.(runtime.Object)) }
	kinds := []func(*randfill.Filler, func(any)){
		twice(core.ValidatePodCreate, core.ValidatePodUpdate, core.ValidatePodStatusUpdate, core.ValidatePodEphemeralContainersUpdate, core.ValidatePodResize,
			func(a, b *corev1.Pod) field.ErrorList {
				core.PodWarnings(a)
				core.PodTemplateWarnings(&corev1.PodTemplateSpec{Spec: a.Spec}, nil, nil)
				core.DropDisabledPodFields(&a.Spec, &b.Spec)
				core.DropDisabledPodFields(&a.Spec, nil)
				return nil
			}),
		twice(core.ValidatePodBinding),
		twice(core.ValidateService, core.ValidateServiceUpdate, core.ValidateServiceStatusUpdate, func(a, b *corev1.Service) field.ErrorList {
			core.ServiceWarnings(a)
			return nil
		}),
		twice(core.ValidateNode, core.ValidateNodeUpdate),
		twice(core.ValidateNamespace, core.ValidateNamespaceUpdate, core.ValidateNamespaceStatusUpdate, core.ValidateNamespaceFinalizeUpdate),
		twice(core.ValidateConfigMap, core.ValidateConfigMapUpdate),
		twice(core.ValidateSecret, core.ValidateSecretUpdate),
		twice(core.ValidateServiceAccount, core.ValidateServiceAccountUpdate),
		twice(core.ValidateEndpoints, core.ValidateEndpointsUpdate),
		twice(core.ValidateResourceQuota, core.ValidateResourceQuotaUpdate, core.ValidateResourceQuotaStatusUpdate),
		twice(core.ValidateLimitRange, core.ValidateLimitRangeUpdate),
		twice(core.ValidatePodTemplate, core.ValidatePodTemplateUpdate),
		twice(core.ValidateReplicationController, core.ValidateReplicationControllerUpdate, core.ValidateReplicationControllerStatusUpdate),
		twice(core.ValidatePersistentVolume, core.ValidatePersistentVolumeUpdate, core.ValidatePersistentVolumeStatusUpdate),
		twice(core.ValidatePersistentVolumeClaim, core.ValidatePersistentVolumeClaimUpdate, core.ValidatePersistentVolumeClaimStatusUpdate),
	}
	for seed := range int64(60) {
		f := randfill.NewWithSeed(seed).NilChance(0.4).NumElements(0, 3).MaxDepth(12).Funcs(
			func(q *resource.Quantity, c randfill.Continue) {
				*q = *resource.NewMilliQuantity(c.Int63()%5000-1000, resource.DecimalSI)
			},
			func(v *intstr.IntOrString, c randfill.Continue) {
				*v = intstr.IntOrString{Type: intstr.Type(c.Intn(3)), IntVal: c.Int31(), StrVal: c.String(5)}
			},
			func(*metav1.FieldsV1, randfill.Continue) {},
		)
		for _, kind := range kinds {
			kind(f, defaults)
		}
	}
}
