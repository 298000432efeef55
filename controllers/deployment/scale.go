package deployment

import (
	"cmp"
	"math"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

// fenceposts resolves maxSurge (rounded up) and maxUnavailable (rounded down)
// to numbers of pods. When both come out as nothing, one pod may be unavailable,
// or a rollout could never move. Only rolling updates have them.
func fenceposts(d *appsv1.Deployment) (surge, unavailable int32) {
	want := ptr.Deref(d.Spec.Replicas, 1)
	if d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType {
		return 0, 0
	}
	var s, u *intstr.IntOrString
	if ru := d.Spec.Strategy.RollingUpdate; ru != nil {
		s, u = ru.MaxSurge, ru.MaxUnavailable
	}
	surge, unavailable = resolve(s, want, true), resolve(u, want, false)
	if surge == 0 && unavailable == 0 {
		unavailable = 1
	}
	return surge, min(unavailable, want)
}

// resolve returns 0 for a value that is neither a number nor a percentage:
// validation admits none.
func resolve(v *intstr.IntOrString, total int32, up bool) int32 {
	if v == nil {
		return 0
	}
	n, err := intstr.GetScaledValueFromIntOrPercent(v, int(total), up)
	if err != nil {
		return 0
	}
	return int32(max(n, 0))
}

// scaled reports whether spec.replicas changed since the sets were last sized.
func (r *rollout) scaled() bool {
	for _, s := range active(r.all()) {
		if desired, ok := annotatedNumber(s, annotationDesired); ok && desired != r.want() {
			return true
		}
	}
	return false
}

// scale spreads spec.replicas over the sets without moving the rollout on: all
// of it to the only one that has pods; nothing to old ones once the new one is
// saturated; else, in a rolling update, to each in proportion to its size.
func (r *rollout) scale() {
	if s, ok := r.soleSet(); ok {
		if s != nil && (size(s) != r.want() || r.scaled()) {
			r.resize(s, r.want())
		}
		return
	}
	if r.saturated() {
		for _, s := range active(r.old) {
			r.resize(s, 0)
		}
		return
	}
	if r.d.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType {
		r.scaleProportionally()
	}
}

// soleSet returns the only set with pods, or the latest if none has any.
func (r *rollout) soleSet() (*appsv1.ReplicaSet, bool) {
	switch a := active(r.all()); {
	case len(a) > 1:
		return nil, false
	case len(a) == 1:
		return a[0], true
	case r.newSet != nil:
		return r.newSet, true
	case len(r.old) > 0:
		return r.old[len(r.old)-1], true
	default:
		return nil, true
	}
}

func (r *rollout) saturated() bool {
	if r.newSet == nil {
		return false
	}
	desired, ok := annotatedNumber(r.newSet, annotationDesired)
	return ok && desired == r.want() && size(r.newSet) == r.want() && r.newSet.Status.AvailableReplicas == r.want()
}

func (r *rollout) scaleProportionally() {
	sets := active(r.all())
	allowed := int32(0)
	if r.want() > 0 {
		allowed = r.want() + r.surge
	}
	toAdd := allowed - sum(sets, size)
	// Leftovers of rounding go to the first: the largest, and of equally large
	// ones the newest when growing and the oldest when shrinking.
	slices.SortStableFunc(sets, func(a, b *appsv1.ReplicaSet) int {
		age := byAge(a, b)
		if toAdd > 0 {
			age = -age
		}
		return cmp.Or(-cmp.Compare(size(a), size(b)), age)
	})
	added := int32(0)
	sizes := make([]int32, len(sets))
	for i, s := range sets {
		share := r.share(s, toAdd, added)
		sizes[i] = size(s) + share
		added += share
	}
	for i, s := range sets {
		if i == 0 {
			sizes[0] = max(0, sizes[0]+toAdd-added)
		}
		r.resize(s, sizes[i])
	}
}

// share returns by how much s grows (or shrinks) of the toAdd pods of which
// added are given out already.
func (r *rollout) share(s *appsv1.ReplicaSet, toAdd, added int32) int32 {
	if size(s) == 0 || toAdd == 0 || toAdd == added {
		return 0
	}
	fraction, left := r.fraction(s), toAdd-added
	if toAdd > 0 {
		return min(fraction, left)
	}
	return max(fraction, left)
}

func (r *rollout) fraction(s *appsv1.ReplicaSet) int32 {
	if r.want() == 0 {
		return -size(s)
	}
	before, ok := annotatedNumber(s, annotationMax)
	if !ok || before == 0 {
		// The set was made by something that does not annotate: what was counted
		// last is the best guess.
		before = r.d.Status.Replicas
	}
	if before == 0 {
		return 0
	}
	scaled := float64(size(s)) * float64(r.want()+r.surge) / float64(before)
	return int32(math.Round(scaled)) - size(s)
}

func annotatedNumber(s *appsv1.ReplicaSet, key string) (int32, bool) {
	v, ok := s.Annotations[key]
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(v, 10, 32)
	return int32(n), err == nil
}
