package all

import (
	"slices"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	resourcev1 "k8s.io/api/resource/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

func template() (*metav1.LabelSelector, corev1.PodTemplateSpec) {
	labels := map[string]string{"a": "b"}
	return &metav1.LabelSelector{MatchLabels: labels}, corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}}
}

func newDeployment(name string) *appsv1.Deployment {
	d := &appsv1.Deployment{ObjectMeta: meta(name)}
	d.Spec.Selector, d.Spec.Template = template()
	return d
}

func newSlice(name string) *resourcev1.ResourceSlice {
	return &resourcev1.ResourceSlice{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: resourcev1.ResourceSliceSpec{
		Driver: "d.com", NodeName: ptr.To("n"), Pool: resourcev1.ResourcePool{Name: "p", ResourceSliceCount: 1}}}
}

// The fields whose change counts differ between the kinds, as in upstream's strategies.
func TestWhatCountsAsAGeneration(t *testing.T) {
	w := newWorld(t, nil)
	annotate := func(o runtime.Object) { o.(metav1.Object).SetAnnotations(map[string]string{"x": "y"}) }
	label := func(o runtime.Object) { o.(metav1.Object).SetLabels(map[string]string{"x": "y"}) }
	policy := func(name string) metav1.Object { return &networkingv1.NetworkPolicy{ObjectMeta: meta(name)} }
	deployment := func(name string) metav1.Object { return newDeployment(name) }
	webhooks := func(name string) metav1.Object {
		return &admissionv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: name}}
	}
	slice := func(name string) metav1.Object { return newSlice(name) }
	rule := func(name string) metav1.Object {
		return &resourcev1.DeviceTaintRule{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: resourcev1.DeviceTaintRuleSpec{
			Taint: resourcev1.DeviceTaint{Key: "k", Effect: resourcev1.DeviceTaintEffectNoSchedule}}}
	}
	for name, c := range map[string]struct {
		resource string
		of       func(string) metav1.Object
		change   func(runtime.Object)
		want     int64
	}{
		"deployment-annotations": {"deployments.apps", deployment, annotate, 2},
		"deployment-labels":      {"deployments.apps", deployment, label, 1},
		"deployment-spec":        {"deployments.apps", deployment, func(o runtime.Object) { o.(*appsv1.Deployment).Spec.Replicas = ptr.To[int32](3) }, 2},
		"policy-annotations":     {"networkpolicies.networking.k8s.io", policy, annotate, 1},
		"policy-empty-list": {"networkpolicies.networking.k8s.io", policy, func(o runtime.Object) {
			o.(*networkingv1.NetworkPolicy).Spec.Egress = []networkingv1.NetworkPolicyEgressRule{}
		}, 2},
		"webhooks-empty-list": {"validatingwebhookconfigurations.admissionregistration.k8s.io", webhooks, func(o runtime.Object) {
			o.(*admissionv1.ValidatingWebhookConfiguration).Webhooks = []admissionv1.ValidatingWebhook{}
		}, 2},
		"slice-dropped-field": {"resourceslices.resource.k8s.io", slice, func(o runtime.Object) {
			o.(*resourcev1.ResourceSlice).Spec.SkipNodeOperations = []resourcev1.SkipNodeOperation{resourcev1.SkipNodeOperationAll}
		}, 2},
		"slice-annotations": {"resourceslices.resource.k8s.io", slice, annotate, 1},
		"rule-effect": {"devicetaintrules.resource.k8s.io", rule, func(o runtime.Object) {
			o.(*resourcev1.DeviceTaintRule).Spec.Taint.Effect = resourcev1.DeviceTaintEffectNoExecute
		}, 2},
	} {
		o := c.of(name)
		if got := w.mustCreate(c.resource, o).(metav1.Object).GetGeneration(); got != 1 {
			t.Errorf("%s: created with generation %d", name, got)
		}
		obj, err := w.update(c.resource, "", o.GetNamespace(), name, c.change)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := obj.(metav1.Object).GetGeneration(); got != c.want {
			t.Errorf("%s: generation %d, want %d", name, got, c.want)
		}
	}
}

// Charts write the kind of a claim template, or do not; neither is a change.
func TestClaimTemplatesAreAppliedAgain(t *testing.T) {
	w := newWorld(t, nil)
	claim := func(apiVersion, kind string) []corev1.PersistentVolumeClaim {
		return []corev1.PersistentVolumeClaim{{TypeMeta: metav1.TypeMeta{APIVersion: apiVersion, Kind: kind}, ObjectMeta: metav1.ObjectMeta{Name: "d"},
			Spec: corev1.PersistentVolumeClaimSpec{AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
				Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}}}}}
	}
	kinds := map[string][2]string{"full": {"v1", "PersistentVolumeClaim"}, "none": {}, "other": {"x/v1", "X"}}
	for name, first := range kinds {
		set := &appsv1.StatefulSet{ObjectMeta: meta(name)}
		set.Spec.ServiceName = "s"
		set.Spec.Selector, set.Spec.Template = template()
		set.Spec.VolumeClaimTemplates = claim(first[0], first[1])
		w.mustCreate("statefulsets.apps", set)
		for again, second := range kinds {
			obj, err := w.update("statefulsets.apps", "", "default", name, func(o runtime.Object) {
				o.(*appsv1.StatefulSet).Spec.VolumeClaimTemplates = claim(second[0], second[1])
				w.env.Scheme.Default(o)
			})
			if err != nil {
				t.Errorf("%s, then %s: %v", name, again, err)
				continue
			}
			got := obj.(*appsv1.StatefulSet)
			if c := got.Spec.VolumeClaimTemplates[0]; got.Generation != 1 || c.APIVersion != "v1" || c.Kind != "PersistentVolumeClaim" {
				t.Errorf("%s, then %s: generation %d, template of %s %s", name, again, got.Generation, c.APIVersion, c.Kind)
			}
		}
		_, err := w.update("statefulsets.apps", "", "default", name, func(o runtime.Object) {
			o.(*appsv1.StatefulSet).Spec.VolumeClaimTemplates[0].Spec.Resources.Requests[corev1.ResourceStorage] = resource.MustParse("2Gi")
		})
		if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "spec.volumeClaimTemplates: Invalid value: ") || !strings.HasSuffix(err.Error(), "field is immutable") {
			t.Errorf("%s, a larger claim: %v", name, err)
		}
	}
}

// A status update leaves the server's own annotation of a DaemonSet in place.
func TestTemplateGenerationStays(t *testing.T) {
	w := newWorld(t, nil)
	set := &appsv1.DaemonSet{ObjectMeta: meta("d")}
	set.Spec.Selector, set.Spec.Template = template()
	w.mustCreate("daemonsets.apps", set)
	for _, sub := range []string{"", "status"} {
		for _, annotations := range []map[string]string{nil, {appsv1.DeprecatedTemplateGeneration: "7", "x": "y"}} {
			obj, err := w.update("daemonsets.apps", sub, "default", "d", func(o runtime.Object) { o.(*appsv1.DaemonSet).Annotations = annotations })
			if err != nil {
				t.Fatal(err)
			}
			if got := obj.(*appsv1.DaemonSet).Annotations[appsv1.DeprecatedTemplateGeneration]; got != "1" {
				t.Errorf("through %q with %v: %q", sub, annotations, got)
			}
		}
	}
}

// TestRollbackStays as it is through the status of a Deployment.
func TestRollbackStays(t *testing.T) {
	w := newWorld(t, nil)
	for name, stored := range map[string]map[string]string{"with": {appsv1.DeprecatedRollbackTo: "5", "x": "y"}, "without": {"x": "y"}} {
		d := &appsv1.Deployment{ObjectMeta: meta(name)}
		d.Annotations = stored
		d.Spec.Selector, d.Spec.Template = template()
		w.mustCreate("deployments.apps", d)
		for _, annotations := range []map[string]string{nil, {appsv1.DeprecatedRollbackTo: "7"}} {
			obj, err := w.update("deployments.apps", "status", "default", name, func(o runtime.Object) { o.(*appsv1.Deployment).Annotations = annotations })
			if err != nil {
				t.Fatal(err)
			}
			got := obj.(*appsv1.Deployment).Annotations
			if got[appsv1.DeprecatedRollbackTo] != stored[appsv1.DeprecatedRollbackTo] || got["x"] != "" {
				t.Errorf("%s, sent %v: %v", name, annotations, got)
			}
		}
	}
}

func TestAnotherEffectBeginsNow(t *testing.T) {
	w := newWorld(t, nil)
	then := metav1.NewTime(time.Unix(1000, 0))
	w.mustCreate("devicetaintrules.resource.k8s.io", &resourcev1.DeviceTaintRule{ObjectMeta: metav1.ObjectMeta{Name: "r"}, Spec: resourcev1.DeviceTaintRuleSpec{
		Taint: resourcev1.DeviceTaint{Key: "k", Effect: resourcev1.DeviceTaintEffectNoSchedule, TimeAdded: &then}}})
	change := func(effect resourcev1.DeviceTaintEffect, added *metav1.Time) *metav1.Time {
		t.Helper()
		obj, err := w.update("devicetaintrules.resource.k8s.io", "", "", "r", func(o runtime.Object) {
			taint := &o.(*resourcev1.DeviceTaintRule).Spec.Taint
			taint.Effect, taint.Value = effect, taint.Value+"x"
			if added != nil {
				taint.TimeAdded = added
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		return obj.(*resourcev1.DeviceTaintRule).Spec.Taint.TimeAdded
	}
	if got := change(resourcev1.DeviceTaintEffectNoSchedule, nil); !got.Equal(&then) {
		t.Errorf("the same effect: %v", got)
	}
	if got := change(resourcev1.DeviceTaintEffectNoExecute, nil); got.Equal(&then) {
		t.Error("another effect keeps the time of the old one")
	}
	if got := change(resourcev1.DeviceTaintEffectNone, &then); !got.Equal(&then) {
		t.Errorf("another effect at a time: %v", got)
	}
}

// A budget has any name that can stand in a path, and loses the label of policy/v1beta1.
func TestBudgetsAreStoredAsUpstream(t *testing.T) {
	w := newWorld(t, nil)
	const legacy = "pdb.kubernetes.io/deprecated-v1beta1-empty-selector-match"
	exists := []metav1.LabelSelectorRequirement{{Key: legacy, Operator: metav1.LabelSelectorOpExists}}
	for name, c := range map[string]struct {
		selector metav1.LabelSelector
		left     int
	}{
		"Upper_Case": {metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}, 0},
		"with":       {metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}, MatchExpressions: exists}, 0},
		"alone":      {metav1.LabelSelector{MatchExpressions: exists}, 1},
	} {
		b := &policyv1.PodDisruptionBudget{ObjectMeta: meta(name), Spec: policyv1.PodDisruptionBudgetSpec{MinAvailable: ptr.To(intstr.FromInt32(1)), Selector: c.selector.DeepCopy()}}
		got := w.mustCreate("poddisruptionbudgets.policy", b).(*policyv1.PodDisruptionBudget)
		if n := len(got.Spec.Selector.MatchExpressions); n != c.left {
			t.Errorf("%s: %d expressions, want %d", name, n, c.left)
		}
	}
	// The label counts as a change although it is dropped.
	obj, err := w.update("poddisruptionbudgets.policy", "", "default", "with", func(o runtime.Object) {
		o.(*policyv1.PodDisruptionBudget).Spec.Selector.MatchExpressions = slices.Clone(exists)
	})
	if err != nil {
		t.Fatal(err)
	}
	if b := obj.(*policyv1.PodDisruptionBudget); b.Generation != 2 || len(b.Spec.Selector.MatchExpressions) > 0 {
		t.Errorf("generation %d, selector %v", b.Generation, b.Spec.Selector)
	}
	if _, err := w.create("poddisruptionbudgets.policy", &policyv1.PodDisruptionBudget{ObjectMeta: meta("a/b")}); !apierrors.IsInvalid(err) {
		t.Errorf("a name with a slash: %v", err)
	}
}
