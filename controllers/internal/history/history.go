// Package history keeps the templates that a StatefulSet or a DaemonSet had, as
// ControllerRevisions: how they are named, compared, numbered and discarded.
// Decisions are pure; Store carries them out.
//
// A revision's name follows from its data and the owner's collision count, so no
// template is recorded twice. Its number orders it: rolling back to an older
// template gives that template's revision the highest number again.
//
// https://kubernetes.io/docs/reference/kubernetes-api/apps/controller-revision-v1/
//
// The API of this package is not stable: see docs/api.md.
package history

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/rand"
)

// Kind is a kind of owner.
type Kind struct {
	schema.GroupVersionKind
	// HashLabel is the label of its revisions that has the hash of their data.
	HashLabel string
}

// longestPrefix is how much of its owner's name a revision's name may have.
const longestPrefix = 223

// ErrNoTemplate is returned for a revision whose data has no pod template.
var ErrNoTemplate = errors.New("revision has no pod template")

// document is the form of a revision's data: a strategic merge patch that
// replaces the owner's template. kubectl rollout undo applies it.
type document struct {
	Spec struct {
		Template json.RawMessage `json:"template"`
	} `json:"spec"`
}

// Data returns what a revision records of a template.
func Data(t *corev1.PodTemplateSpec) ([]byte, error) {
	encoded, err := json.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("encoding pod template: %w", err)
	}
	fields := map[string]any{}
	if err := json.Unmarshal(encoded, &fields); err != nil {
		return nil, fmt.Errorf("decoding pod template: %w", err)
	}
	fields["$patch"] = "replace"
	data, err := json.Marshal(map[string]any{"spec": map[string]any{"template": fields}})
	if err != nil {
		return nil, fmt.Errorf("encoding revision: %w", err)
	}
	return data, nil
}

// Template returns the template that a revision records.
func Template(rev *appsv1.ControllerRevision) (*corev1.PodTemplateSpec, error) {
	var doc document
	if err := json.Unmarshal(rev.Data.Raw, &doc); err != nil {
		return nil, fmt.Errorf("decoding revision %s: %w", rev.Name, err)
	}
	if len(doc.Spec.Template) == 0 {
		return nil, fmt.Errorf("decoding revision %s: %w", rev.Name, ErrNoTemplate)
	}
	template := &corev1.PodTemplateSpec{}
	if err := json.Unmarshal(doc.Spec.Template, template); err != nil {
		return nil, fmt.Errorf("decoding template of revision %s: %w", rev.Name, err)
	}
	return template, nil
}

// New returns the revision that records a template of owner. It has the
// template's labels and the owner's annotations.
func New(owner metav1.Object, kind Kind, t *corev1.PodTemplateSpec, number int64, collisions int32) (*appsv1.ControllerRevision, error) {
	data, err := Data(t)
	if err != nil {
		return nil, err
	}
	rev := &appsv1.ControllerRevision{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       owner.GetNamespace(),
			Labels:          maps.Clone(t.Labels),
			Annotations:     maps.Clone(owner.GetAnnotations()),
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(owner, kind.GroupVersionKind)},
		},
		Data:     runtime.RawExtension{Raw: data},
		Revision: number,
	}
	kind.Rename(rev, owner.GetName(), collisions)
	return rev, nil
}

// Rename gives rev the name that follows from its data, its owner's name and
// the number of collisions.
func (k Kind) Rename(rev *appsv1.ControllerRevision, owner string, collisions int32) {
	h := fnv.New32()
	h.Write(rev.Data.Raw)
	h.Write([]byte(strconv.FormatInt(int64(collisions), 10)))
	hash := rand.SafeEncodeString(strconv.FormatUint(uint64(h.Sum32()), 10))
	rev.Name = owner[:min(len(owner), longestPrefix)] + "-" + hash
	if rev.Labels == nil {
		rev.Labels = map[string]string{}
	}
	rev.Labels[k.HashLabel] = hash
}

// Sort orders revisions by number, oldest first.
func Sort(revs []*appsv1.ControllerRevision) {
	slices.SortStableFunc(revs, func(a, b *appsv1.ControllerRevision) int {
		return cmp.Or(
			cmp.Compare(a.Revision, b.Revision),
			a.CreationTimestamp.Time.Compare(b.CreationTimestamp.Time),
			cmp.Compare(a.Name, b.Name),
		)
	})
}

// Equal reports whether two revisions record the same template, in spite of
// differences in how it was written down.
func Equal(a, b *appsv1.ControllerRevision) bool {
	if bytes.Equal(a.Data.Raw, b.Data.Raw) {
		return true
	}
	ta, errA := Template(a)
	tb, errB := Template(b)
	return errA == nil && errB == nil && apiequality.Semantic.DeepEqual(ta, tb)
}

// Decision makes a template the latest revision.
type Decision struct {
	// Revision is the revision of the template: one that exists, or the one to create.
	Revision *appsv1.ControllerRevision
	// Create is set if it does not exist yet.
	Create bool
	// Number is the number that an existing one has to get, 0 to leave it.
	Number int64
	// Duplicates are others that record the same template; the newest counts.
	Duplicates []*appsv1.ControllerRevision
}

// Decide compares the revision that is wanted with those there are, sorted.
func Decide(sorted []*appsv1.ControllerRevision, wanted *appsv1.ControllerRevision) Decision {
	var equal []*appsv1.ControllerRevision
	for _, r := range sorted {
		if Equal(r, wanted) {
			equal = append(equal, r)
		}
	}
	if len(equal) == 0 {
		return Decision{Revision: wanted, Create: true}
	}
	last := len(equal) - 1
	d := Decision{Revision: equal[last], Duplicates: equal[:last]}
	if sorted[len(sorted)-1] != d.Revision {
		d.Number = Next(sorted)
	}
	return d
}

// Next returns the number after the highest of sorted revisions.
func Next(sorted []*appsv1.ControllerRevision) int64 {
	if len(sorted) == 0 {
		return 1
	}
	return sorted[len(sorted)-1].Revision + 1
}

// Excess returns the oldest of the sorted revisions that are not live and for
// which limit leaves no room. Without a limit there is none.
func Excess(sorted []*appsv1.ControllerRevision, live func(*appsv1.ControllerRevision) bool, limit *int32) []*appsv1.ControllerRevision {
	if limit == nil || *limit < 0 {
		return nil
	}
	var old []*appsv1.ControllerRevision
	for _, r := range sorted {
		if !live(r) {
			old = append(old, r)
		}
	}
	return old[:max(0, len(old)-int(*limit))]
}
