package deployment

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Annotations of the Deployment contract; kubectl rollout reads and writes them.
const (
	annotationRevision        = "deployment.kubernetes.io/revision"
	annotationRevisionHistory = "deployment.kubernetes.io/revision-history"
	annotationDesired         = "deployment.kubernetes.io/desired-replicas"
	annotationMax             = "deployment.kubernetes.io/max-replicas"

	annotationLastApplied = corev1.LastAppliedConfigAnnotation
	annotationRollbackTo  = "deprecated.deployment.rollback.to"
)

// historyLength is how many characters the revision-history annotation may have.
const historyLength = 2000

// kind is the kind of owner in the ReplicaSets' owner references.
var kind = appsv1.SchemeGroupVersion.WithKind("Deployment")

// syncRevision gives the new set the highest revision and the Deployment the
// same. A set that gets a new revision again was rolled back to: its old one
// goes into its history.
func (r *rollout) syncRevision() {
	if r.newSet == nil {
		return
	}
	r.markRevision(r.newSet, highestRevision(r.old)+1)
	r.newSet.Spec.MinReadySeconds = r.d.Spec.MinReadySeconds
	r.plan.Revision = r.changedRevision(r.newSet.Annotations[annotationRevision])
	if r.deadline() > 0 && r.condition(appsv1.DeploymentProgressing) == nil {
		r.setCondition(appsv1.DeploymentProgressing, corev1.ConditionTrue, reasonFoundNewSet,
			fmt.Sprintf("Found new replica set %q", r.newSet.Name))
	}
}

func (r *rollout) changedRevision(revision string) string {
	if revision == r.d.Annotations[annotationRevision] {
		return ""
	}
	return revision
}

// ensureNewSet creates the ReplicaSet of the current template if there is none.
func (r *rollout) ensureNewSet() {
	if r.newSet != nil {
		return
	}
	s := r.makeNewSet()
	r.newSet = s
	r.resize(s, r.newSize())
	r.markRevision(s, highestRevision(r.old)+1)
	r.plan.Create = s
	r.plan.Revision = r.changedRevision(s.Annotations[annotationRevision])
	if r.deadline() > 0 {
		r.setCondition(appsv1.DeploymentProgressing, corev1.ConditionTrue, reasonNewSetCreated,
			fmt.Sprintf("Created new replica set %q", s.Name))
	}
}

func (r *rollout) makeNewSet() *appsv1.ReplicaSet {
	d := r.d
	hash := templateHash(&d.Spec.Template, d.Status.CollisionCount)
	template := *d.Spec.Template.DeepCopy()
	template.Labels = withLabel(template.Labels, hash)
	selector := d.Spec.Selector.DeepCopy()
	selector.MatchLabels = withLabel(selector.MatchLabels, hash)
	return &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{
			Name:            setName(d.Name, hash),
			Namespace:       d.Namespace,
			Labels:          maps.Clone(template.Labels),
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(d, kind)},
		},
		Spec: appsv1.ReplicaSetSpec{
			Replicas:        new(int32),
			MinReadySeconds: d.Spec.MinReadySeconds,
			Selector:        selector,
			Template:        template,
		},
	}
}

// setName keeps the hash whole when the Deployment's name leaves no room.
func setName(deployment, hash string) string {
	room := validation.DNS1123SubdomainMaxLength - len(hash) - 1
	return strings.TrimRight(deployment[:min(len(deployment), room)], "-.") + "-" + hash
}

func withLabel(labels map[string]string, hash string) map[string]string {
	out := maps.Clone(labels)
	if out == nil {
		out = map[string]string{}
	}
	out[appsv1.DefaultDeploymentUniqueLabelKey] = hash
	return out
}

// templateHash names a template. It is computed over the JSON form, so that a
// field that a later API version adds changes no name while it is not used.
// collisions makes another name when the first one is taken by another object.
func templateHash(t *corev1.PodTemplateSpec, collisions *int32) string {
	h := fnv.New32a()
	// A typed API object always encodes: it has neither cycles nor functions.
	if err := json.NewEncoder(h).Encode(t); err != nil {
		panic(fmt.Sprintf("encoding pod template: %v", err))
	}
	if collisions != nil {
		var b [4]byte
		binary.LittleEndian.PutUint32(b[:], uint32(*collisions))
		h.Write(b[:])
	}
	return rand.SafeEncodeString(strconv.FormatUint(uint64(h.Sum32()), 10))
}

// markRevision gives s the revision, unless it has that or a higher one, and
// copies the Deployment's annotations to it.
func (r *rollout) markRevision(s *appsv1.ReplicaSet, revision int64) {
	annotate(s, inherited(r.d.Annotations))
	was, had := s.Annotations[annotationRevision]
	current, err := strconv.ParseInt(was, 10, 64)
	if had && was != "" && err != nil {
		// A user wrote something that is not a number. It is not repaired.
		return
	}
	if current >= revision {
		return
	}
	changes := map[string]string{annotationRevision: strconv.FormatInt(revision, 10)}
	if had && current > 0 {
		changes[annotationRevisionHistory] = appendHistory(s.Annotations[annotationRevisionHistory], was)
	}
	annotate(s, changes)
}

// inherited returns a Deployment's annotations that its ReplicaSets take over.
func inherited(annotations map[string]string) map[string]string {
	out := maps.Clone(annotations)
	for _, k := range []string{annotationLastApplied, annotationRevision, annotationRevisionHistory, annotationDesired, annotationMax, annotationRollbackTo} {
		delete(out, k)
	}
	return out
}

// appendHistory drops the oldest revisions when the annotation grows too long.
func appendHistory(history, revision string) string {
	if history == "" {
		return revision
	}
	all := append(strings.Split(history, ","), revision)
	joined := strings.Join(all, ",")
	for len(joined) > historyLength && len(all) > 1 {
		all = all[1:]
		joined = strings.Join(all, ",")
	}
	return joined
}

func (r *rollout) annotateSize(s *appsv1.ReplicaSet) {
	annotate(s, map[string]string{
		annotationDesired: strconv.Itoa(int(r.want())),
		annotationMax:     strconv.Itoa(int(r.want() + r.surge)),
	})
}

func highestRevision(sets []*appsv1.ReplicaSet) int64 {
	n := int64(0)
	for _, s := range sets {
		n = max(n, revisionOf(s))
	}
	return n
}

func revisionOf(s *appsv1.ReplicaSet) int64 {
	n, err := strconv.ParseInt(s.Annotations[annotationRevision], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// trimHistory deletes the oldest empty old sets beyond revisionHistoryLimit.
func (r *rollout) trimHistory() {
	limit := r.d.Spec.RevisionHistoryLimit
	if limit == nil {
		return
	}
	alive := slices.DeleteFunc(slices.Clone(r.old), func(s *appsv1.ReplicaSet) bool { return s.DeletionTimestamp != nil })
	surplus := len(alive) - int(*limit)
	if surplus <= 0 {
		return
	}
	slices.SortStableFunc(alive, func(a, b *appsv1.ReplicaSet) int {
		if x, y := revisionOf(a), revisionOf(b); x != y {
			return int(min(max(x-y, -1), 1))
		}
		return byAge(a, b)
	})
	for _, s := range alive[:surplus] {
		if s.Status.Replicas == 0 && size(s) == 0 && s.Generation <= s.Status.ObservedGeneration {
			r.plan.Delete = append(r.plan.Delete, s)
		}
	}
}
