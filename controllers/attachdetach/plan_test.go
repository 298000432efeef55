package attachdetach

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

var now = time.Unix(1_700_000_000, 0)

func newVolume(name string, modes ...corev1.PersistentVolumeAccessMode) *corev1.PersistentVolume {
	return &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PersistentVolumeSpec{AccessModes: modes,
		PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "d", VolumeHandle: "h-" + name}}}}
}

func newPod(namespace, name string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(name)}}
}

func newNode(change ...func(*corev1.Node)) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", Annotations: map[string]string{managedAnnotation: "true"}}}
	for _, f := range change {
		f(n)
	}
	return n
}

func isReady(n *corev1.Node) {
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
}

func uses(pv *corev1.PersistentVolume) func(*corev1.Node) {
	return func(n *corev1.Node) { n.Status.VolumesInUse = append(n.Status.VolumesInUse, uniqueName(pv)) }
}

func reports(pv *corev1.PersistentVolume) func(*corev1.Node) {
	return func(n *corev1.Node) {
		n.Status.VolumesAttached = append(n.Status.VolumesAttached, corev1.AttachedVolume{Name: uniqueName(pv)})
	}
}

func to(pv *corev1.PersistentVolume, change ...func(*storagev1.VolumeAttachment)) attachment {
	a := &storagev1.VolumeAttachment{ObjectMeta: metav1.ObjectMeta{Name: attachmentName(pv, "n"), UID: "u"}, Spec: storagev1.VolumeAttachmentSpec{
		NodeName: "n", Attacher: "d", Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: ptr.To(pv.Name)}}}
	for _, f := range change {
		f(a)
	}
	return attachment{a, pv}
}

func done(a *storagev1.VolumeAttachment)  { a.Status.Attached = true }
func going(a *storagev1.VolumeAttachment) { a.DeletionTimestamp = &metav1.Time{Time: now} }
func failed(a *storagev1.VolumeAttachment) {
	a.Status.AttachError = &storagev1.VolumeError{Message: "no room"}
}

// text returns a plan in short, for tables.
func (p plan) text() []string {
	var out []string
	for _, a := range p.attach {
		out = append(out, fmt.Sprintf("attach %s exclusive=%v", *a.object.Spec.Source.PersistentVolumeName, a.exclusive))
	}
	for _, a := range p.detach {
		out = append(out, "detach "+*a.Spec.Source.PersistentVolumeName)
	}
	for _, why := range p.forced {
		out = append(out, "forced by "+why)
	}
	if p.changed {
		var names []string
		for _, v := range p.report {
			names = append(names, strings.TrimPrefix(string(v.Name), "kubernetes.io/csi/d^h-"))
		}
		out = append(out, "report "+strings.Join(names, ","))
	}
	for _, n := range p.notes {
		for _, pod := range n.pods {
			out = append(out, fmt.Sprintf("%s %s: %s", pod.Name, n.reason, n.text))
		}
	}
	if p.after > 0 {
		out = append(out, "after "+p.after.String())
	}
	return out
}

func TestPlanNode(t *testing.T) {
	rwo, rwx := newVolume("rwo", corev1.ReadWriteOnce), newVolume("rwx", corev1.ReadWriteMany)
	p, q, other := newPod("a", "p"), newPod("a", "q"), newPod("b", "other")
	wants := func(w ...want) []want { return w }
	outOfService := func(n *corev1.Node) {
		n.Spec.Taints = []corev1.Taint{{Key: corev1.TaintNodeOutOfService, Effect: corev1.TaintEffectNoExecute}}
	}
	asked := map[string]time.Time{attachmentName(rwo, "n"): now.Add(-5 * time.Minute)}
	long := map[string]time.Time{attachmentName(rwo, "n"): now.Add(-6 * time.Minute)}
	for name, tc := range map[string]struct {
		in   observed
		want []string
	}{
		"nothing":       {observed{node: newNode()}, nil},
		"attach":        {observed{node: newNode(), wants: wants(want{volume: rwo, pods: []*corev1.Pod{p}}, want{volume: rwx})}, []string{"attach rwo exclusive=true", "attach rwx exclusive=false"}},
		"not managed":   {observed{node: &corev1.Node{}, wants: wants(want{volume: rwo})}, nil},
		"gone":          {observed{wants: wants(want{volume: rwo})}, nil},
		"being done":    {observed{node: newNode(), wants: wants(want{volume: rwo, pods: []*corev1.Pod{p}}), attachments: []attachment{to(rwo)}}, nil},
		"just attached": {observed{node: newNode(), wants: wants(want{volume: rwo, pods: []*corev1.Pod{p, q}}), attachments: []attachment{to(rwo, done)}}, []string{"report rwo", `p SuccessfulAttachVolume: AttachVolume.Attach succeeded for volume "rwo" `, `q SuccessfulAttachVolume: AttachVolume.Attach succeeded for volume "rwo" `}},
		"attached":      {observed{node: newNode(reports(rwo)), wants: wants(want{volume: rwo, pods: []*corev1.Pod{p}}), attachments: []attachment{to(rwo, done)}}, nil},
		"failed":        {observed{node: newNode(), wants: wants(want{volume: rwo, pods: []*corev1.Pod{p}}), attachments: []attachment{to(rwo, failed)}}, []string{`p FailedAttachVolume: AttachVolume.Attach failed for volume "rwo" : no room`}},
		"on its way out": {observed{node: newNode(reports(rwo)), wants: wants(want{volume: rwo, pods: []*corev1.Pod{p}}), attachments: []attachment{to(rwo, done, going)}},
			[]string{"report ", `p FailedAttachVolume: AttachVolume.Attach failed for volume "rwo" : volume attachment is being deleted`}},
		"elsewhere": {observed{node: newNode(), wants: wants(want{volume: rwo, pods: []*corev1.Pod{p}, elsewhere: true})},
			[]string{`p FailedAttachVolume: Waiting for detach for volume "rwo" Volume is already exclusively attached to one node, waiting on detach before it can be attached to another node`}},
		"used elsewhere": {observed{node: newNode(), wants: wants(want{volume: rwo, pods: []*corev1.Pod{p}, elsewhere: true, others: []*corev1.Pod{q, other}})},
			[]string{`p FailedAttachVolume: Waiting for detach for volume "rwo" Volume is already used by pod(s) q and 1 pod(s) in different namespaces`}},
		"used by strangers": {observed{node: newNode(), wants: wants(want{volume: rwo, pods: []*corev1.Pod{p}, elsewhere: true, others: []*corev1.Pod{other}})},
			[]string{`p FailedAttachVolume: Waiting for detach for volume "rwo" Volume is already used by 1 pod(s) in different namespaces`}},
		"detach":                 {observed{node: newNode(isReady, reports(rwo), reports(rwx)), wants: wants(want{volume: rwx}), attachments: []attachment{to(rwo, done), to(rwx, done)}}, []string{"detach rwo", "report rwx"}},
		"detach what goes":       {observed{node: newNode(isReady), attachments: []attachment{to(rwo, done, going)}}, nil},
		"still mounted":          {observed{node: newNode(isReady, reports(rwo), uses(rwo)), attachments: []attachment{to(rwo, done)}, since: long}, nil},
		"mounted, not ready":     {observed{node: newNode(reports(rwo), uses(rwo)), attachments: []attachment{to(rwo, done)}}, []string{"after 6m0s"}},
		"mounted, not ready yet": {observed{node: newNode(reports(rwo), uses(rwo)), attachments: []attachment{to(rwo, done)}, since: asked}, []string{"after 1m0s"}},
		"not ready for long":     {observed{node: newNode(reports(rwo), uses(rwo)), attachments: []attachment{to(rwo, done)}, since: long}, []string{"detach rwo", "forced by timeout", "report "}},
		"out of service":         {observed{node: newNode(reports(rwo), uses(rwo), outOfService), attachments: []attachment{to(rwo, done)}}, []string{"detach rwo", "forced by out-of-service", "report "}},
		"node gone":              {observed{attachments: []attachment{to(rwo, done)}}, []string{"after 6m0s"}},
		"node gone for long":     {observed{attachments: []attachment{to(rwo, done)}, since: long}, []string{"detach rwo", "forced by timeout"}},
	} {
		tc.in.name = "n"
		got := planNode(tc.in, now)
		if diff := cmp.Diff(tc.want, got.text()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if before, ok := tc.in.since[attachmentName(rwo, "n")]; ok && len(got.detach) == 0 && !got.since[attachmentName(rwo, "n")].Equal(before) {
			t.Errorf("%s: forgot since when", name)
		}
	}
}

func TestOurs(t *testing.T) {
	pv := newVolume("v")
	made := to(pv).VolumeAttachment
	foreign := &storagev1.VolumeAttachment{ObjectMeta: metav1.ObjectMeta{Name: "by-hand"}, Spec: made.Spec}
	for i, got := range []bool{ours(made, pv), ours(made, nil), !ours(foreign, pv), !ours(foreign, nil)} {
		if !got {
			t.Error(i)
		}
	}
}

func TestOver(t *testing.T) {
	running := []corev1.ContainerStatus{{State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
	deleted := metav1.ObjectMeta{DeletionTimestamp: &metav1.Time{}}
	var got []bool
	for _, pod := range []*corev1.Pod{
		{}, {Status: corev1.PodStatus{Phase: corev1.PodSucceeded}}, {ObjectMeta: deleted, Status: corev1.PodStatus{ContainerStatuses: running}}, {ObjectMeta: deleted},
	} {
		got = append(got, over(pod))
	}
	if !slices.Equal(got, []bool{false, true, false, true}) {
		t.Error(got)
	}
}
