package claim

import (
	"context"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

var rcKind = corev1.SchemeGroupVersion.WithKind("ReplicationController")

func owner(uid types.UID) *corev1.ReplicationController {
	return &corev1.ReplicationController{ObjectMeta: metav1.ObjectMeta{Name: "rc", Namespace: "ns", UID: uid}}
}

func pod(name string, matches bool, of *corev1.ReplicationController) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "ns", UID: types.UID(name)}}
	if matches {
		p.Labels = map[string]string{"app": "a"}
	}
	if of != nil {
		p.OwnerReferences = []metav1.OwnerReference{OwnerReference(of, rcKind)}
	}
	return p
}

var selector = labels.SelectorFromSet(labels.Set{"app": "a"})

func TestJudge(t *testing.T) {
	me, other, dying := owner("me"), owner("other"), owner("me")
	now := metav1.NewTime(time.Unix(1, 0))
	dying.DeletionTimestamp = &now
	dyingPod := pod("p", true, nil)
	dyingPod.DeletionTimestamp = &now
	for _, tc := range []struct {
		name  string
		owner *corev1.ReplicationController
		pod   *corev1.Pod
		want  Verdict
	}{
		{"mine and matching", me, pod("p", true, me), Keep},
		{"mine, not matching", me, pod("p", false, me), Release},
		{"another's", me, pod("p", true, other), Ignore},
		{"matching orphan", me, pod("p", true, nil), Adopt},
		{"matching orphan that goes", me, dyingPod, Ignore},
		{"other orphan", me, pod("p", false, nil), Ignore},
		{"I go: mine and matching", dying, pod("p", true, dying), Keep},
		{"I go: mine, not matching", dying, pod("p", false, dying), Ignore},
		{"I go: matching orphan", dying, pod("p", true, nil), Ignore},
	} {
		if got := judge(tc.owner, selector.Matches(labels.Set(tc.pod.Labels)), tc.pod); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestClaimAdoptsAndReleases(t *testing.T) {
	me := owner("me")
	kept, released, orphan, vanished := pod("kept", true, me), pod("released", false, me), pod("orphan", true, nil), pod("vanished", true, nil)
	c := fake.NewClientBuilder().WithObjects(me, kept, released, orphan).Build()
	got, err := Claim(context.Background(), &Claimer{Client: c, Live: c, Owner: me, GVK: rcKind, Selector: selector},
		[]*corev1.Pod{kept, released, orphan, vanished})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0] != kept || got[1] != orphan {
		t.Errorf("claimed %v", got)
	}
	if len(orphan.OwnerReferences) != 0 || len(released.OwnerReferences) != 1 {
		t.Error("shared objects were changed")
	}
	stored := func(name string) []metav1.OwnerReference {
		var p corev1.Pod
		if err := c.Get(context.Background(), client.ObjectKey{Namespace: "ns", Name: name}, &p); err != nil {
			t.Fatal(err)
		}
		return p.OwnerReferences
	}
	if refs := stored("orphan"); len(refs) != 1 || refs[0].UID != "me" || !ptr.Deref(refs[0].Controller, false) || !ptr.Deref(refs[0].BlockOwnerDeletion, false) {
		t.Errorf("the orphan's references are %v", refs)
	}
	if refs := stored("released"); len(refs) != 0 {
		t.Errorf("the released pod's references are %v", refs)
	}
}

func TestClaimDoesNotAdoptForAReplacedOwner(t *testing.T) {
	me, orphan := owner("me"), pod("orphan", true, nil)
	c := fake.NewClientBuilder().WithObjects(owner("successor"), orphan).Build()
	got, err := Claim(context.Background(), &Claimer{Client: c, Live: c, Owner: me, GVK: rcKind, Selector: selector}, []*corev1.Pod{orphan})
	if !errors.Is(err, ErrOwnerGone) || len(got) != 0 {
		t.Errorf("got %v, %v", got, err)
	}
}
