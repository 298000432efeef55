package all

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// TestFinalizers checks which kinds let a finalizer be a single word.
func TestFinalizers(t *testing.T) {
	m := newMill(t)
	for gvk, want := range map[schema.GroupVersionKind]bool{
		{Version: "v1", Kind: "ConfigMap"}:                                                      false,
		{Version: "v1", Kind: "Service"}:                                                        false,
		{Group: "apps", Version: "v1", Kind: "Deployment"}:                                      false,
		{Group: "coordination.k8s.io", Version: "v1", Kind: "Lease"}:                            true,
		{Group: "admissionregistration.k8s.io", Version: "v1", Kind: "MutatingAdmissionPolicy"}: true,
	} {
		r := m.of[gvk]
		for _, name := range []string{"hold", "example.com/hold", "orphan"} {
			obj := m.original[gvk].DeepCopyObject()
			obj.(metav1.Object).SetFinalizers([]string{name})
			_, err := m.built[r.GVR()][""].(rest.Creater).Create(m.context(r, obj), obj, rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
			refused := err != nil && strings.Contains(err.Error(), "name is neither a standard finalizer name nor is it fully qualified")
			if refused != (name == "hold" && !want) {
				t.Errorf("%s with finalizer %s: %v", gvk.Kind, name, err)
			}
		}
	}
}

// TestFinalizersOfStatus checks which kinds let a status or approval carry any finalizer.
func TestFinalizersOfStatus(t *testing.T) {
	m := newMill(t)
	for gvk, want := range map[schema.GroupVersionKind]bool{
		{Group: "apps", Version: "v1", Kind: "Deployment"}:                               false,
		{Group: "batch", Version: "v1", Kind: "CronJob"}:                                 true,
		{Group: "policy", Version: "v1", Kind: "PodDisruptionBudget"}:                    true,
		{Group: "certificates.k8s.io", Version: "v1", Kind: "CertificateSigningRequest"}: false,
	} {
		r, old := m.of[gvk], m.original[gvk].DeepCopyObject()
		stored(old, old)
		now := old.DeepCopyObject()
		now.(metav1.Object).SetFinalizers([]string{"hold"})
		m.shelves[r.GVR().GroupResource()].held = old
		for _, sub := range []string{"status", "approval"} {
			u, ok := m.built[r.GVR()][sub].(rest.Updater)
			if !ok {
				continue
			}
			_, _, err := u.Update(m.context(r, now), old.(metav1.Object).GetName(), rest.DefaultUpdatedObjectInfo(now),
				rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
			if (err == nil) != want {
				t.Errorf("%s/%s: %v", gvk.Kind, sub, err)
			}
		}
	}
}

// TestStatusMetadata checks what of the metadata a status carries along.
func TestStatusMetadata(t *testing.T) {
	m := newMill(t)
	owner := []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "o", UID: "1"}}
	for gvk, want := range map[schema.GroupVersionKind]bool{
		{Group: "apps", Version: "v1", Kind: "Deployment"}:                 true,
		{Version: "v1", Kind: "Node"}:                                      true,
		{Version: "v1", Kind: "Pod"}:                                       false,
		{Group: "networking.k8s.io", Version: "v1", Kind: "ServiceCIDR"}:   false,
		{Group: "storage.k8s.io", Version: "v1", Kind: "VolumeAttachment"}: false,
	} {
		r := m.of[gvk]
		old := m.original[gvk].DeepCopyObject()
		stored(old, old)
		now := old.DeepCopyObject()
		now.(metav1.Object).SetOwnerReferences(owner)
		if d, ok := now.(*appsv1.Deployment); ok {
			d.Spec.Replicas = new(int32(99)) // not the status' either
		}
		held := m.shelves[r.GVR().GroupResource()]
		held.held = old
		got, _, err := m.built[r.GVR()]["status"].(rest.Updater).Update(m.context(r, now), old.(metav1.Object).GetName(), rest.DefaultUpdatedObjectInfo(now),
			rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
		if err != nil {
			t.Errorf("%s: %v", gvk.Kind, err)
			continue
		}
		if has := len(got.(metav1.Object).GetOwnerReferences()) > 0; has != want {
			t.Errorf("%s: a status with owners changes them: %v, want %v", gvk.Kind, has, want)
		}
		if d, ok := got.(*appsv1.Deployment); ok && *d.Spec.Replicas == 99 {
			t.Error("a status changed the replicas")
		}
	}
}

// TestDeletedObjects checks which kinds answer a delete with what was deleted.
func TestDeletedObjects(t *testing.T) {
	built, _ := build(t)
	full := map[string]bool{}
	for _, name := range strings.Fields(`pods services serviceaccounts namespaces persistentvolumes persistentvolumeclaims podtemplates resourcequotas
		deviceclasses resourceclaims resourceclaimtemplates resourceslices resourcepoolstatusrequests
		csidrivers csinodes storageclasses volumeattachments volumeattributesclasses`) {
		full[name] = true
	}
	for gvr, storages := range built {
		before := gvr.Resource == "devicetaintrules" && gvr.Version != "v1" // as upstream
		if store := registry.StoreOf(storages[""]); store != nil && store.ReturnDeletedObject != (full[gvr.Resource] || before) {
			t.Errorf("%s: answers a delete with the object: %v", gvr.Resource, store.ReturnDeletedObject)
		}
	}
}

// TestWarningsAreGiven looks whether each kind that has warnings gives them.
func TestWarningsAreGiven(t *testing.T) {
	m := newMill(t)
	for _, c := range []struct {
		obj  runtime.Object
		want string
	}{
		{&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "a.b"}}, "metadata.name: this is used in the Pod's hostname"},
		{&corev1.PodTemplate{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{ImagePullSecrets: []corev1.LocalObjectReference{{}}}}}, "template.spec.imagePullSecrets[0].name: invalid empty name"},
		{&corev1.Service{Spec: corev1.ServiceSpec{ExternalIPs: []string{"10.0.0.1"}}}, "spec.externalIPs is deprecated"},
		{&corev1.Node{Spec: corev1.NodeSpec{DoNotUseExternalID: "x"}}, "spec.externalID: this field is deprecated"},
		{&corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{PersistentVolumeSource: corev1.PersistentVolumeSource{CephFS: &corev1.CephFSPersistentVolumeSource{}}}}, "spec.cephfs: deprecated in v1.28"},
		{&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "a.b"}}, "metadata.name: this is used in Pod names and hostnames"},
	} {
		kinds, _, err := m.env.Scheme.ObjectKinds(c.obj)
		if err != nil {
			t.Fatal(err)
		}
		for gvk, r := range m.of {
			if gvk.GroupKind() != kinds[0].GroupKind() {
				continue
			}
			got := registry.StoreOf(m.built[r.GVR()][""]).CreateStrategy.WarningsOnCreate(t.Context(), c.obj)
			if !strings.Contains(strings.Join(got, "\n"), c.want) {
				t.Errorf("%s: warned %q, want %q", gvk.Kind, got, c.want)
			}
		}
	}
}
