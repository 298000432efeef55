package validation_test

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
	"github.com/coracle-k8s/coracle/apis/core/validation"
	"github.com/coracle-k8s/coracle/apis/core/validation/pods"
	"github.com/coracle-k8s/coracle/apis/core/validation/volume"
	"github.com/coracle-k8s/coracle/apis/core/warnings"
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
	s := runtime.NewScheme()
	if err := core.Install(s); err != nil {
		t.Fatal(err)
	}
	defaults := func(o any) { s.Default(o.(runtime.Object)) }
	kinds := []func(*randfill.Filler, func(any)){
		twice(pods.ValidatePodCreate, pods.ValidatePodUpdate, pods.ValidatePodStatusUpdate, pods.ValidatePodEphemeralContainersUpdate, pods.ValidatePodResize,
			func(a, b *corev1.Pod) field.ErrorList {
				warnings.PodWarnings(a)
				warnings.PodTemplateWarnings(&corev1.PodTemplateSpec{Spec: a.Spec}, nil, nil)
				core.DropDisabledPodFields(&a.Spec, &b.Spec)
				core.DropDisabledPodFields(&a.Spec, nil)
				return nil
			}),
		twice(pods.ValidatePodBinding),
		twice(validation.ValidateService, validation.ValidateServiceUpdate, validation.ValidateServiceStatusUpdate, func(a, b *corev1.Service) field.ErrorList {
			warnings.ServiceWarnings(a)
			return nil
		}),
		twice(validation.ValidateNode, validation.ValidateNodeUpdate),
		twice(validation.ValidateNamespace, validation.ValidateNamespaceUpdate, validation.ValidateNamespaceStatusUpdate, validation.ValidateNamespaceFinalizeUpdate),
		twice(validation.ValidateConfigMap, validation.ValidateConfigMapUpdate),
		twice(validation.ValidateSecret, validation.ValidateSecretUpdate),
		twice(validation.ValidateServiceAccount, validation.ValidateServiceAccountUpdate),
		twice(validation.ValidateEndpoints, validation.ValidateEndpointsUpdate),
		twice(validation.ValidateResourceQuota, validation.ValidateResourceQuotaUpdate, validation.ValidateResourceQuotaStatusUpdate),
		twice(validation.ValidateLimitRange, validation.ValidateLimitRangeUpdate),
		twice(validation.ValidatePodTemplate, validation.ValidatePodTemplateUpdate),
		twice(validation.ValidateReplicationController, validation.ValidateReplicationControllerUpdate, validation.ValidateReplicationControllerStatusUpdate),
		twice(volume.ValidatePersistentVolume, volume.ValidatePersistentVolumeUpdate, volume.ValidatePersistentVolumeStatusUpdate),
		twice(volume.ValidatePersistentVolumeClaim, volume.ValidatePersistentVolumeClaimUpdate, volume.ValidatePersistentVolumeClaimStatusUpdate),
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
