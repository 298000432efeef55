package deployment

import (
	"fmt"
	"maps"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// Reasons of a rollback's events, as upstream's.
const (
	reasonRevisionNotFound  = "DeploymentRollbackRevisionNotFound"
	reasonTemplateUnchanged = "DeploymentRollbackTemplateUnchanged"
	reasonRolledBack        = "DeploymentRollback"
)

// rollbackTo returns the revision to which the Deployment shall go back, 0 for
// the last one, as clients of extensions/v1beta1 asked for it and the
// annotation still does. kubectl writes the old template itself.
func rollbackTo(d *appsv1.Deployment) (revision int64, ok bool) {
	n, err := strconv.ParseInt(d.Annotations[annotationRollbackTo], 10, 64)
	return n, err == nil
}

// rollback makes the Deployment's template that of an old revision, and drops
// the wish for it. The rollout is the next reconcile's.
func (r *rollout) rollback(revision int64) {
	d := r.d.DeepCopy()
	delete(d.Annotations, annotationRollbackTo)
	r.plan.Rewrite = d
	if revision == 0 {
		if revision = r.lastRevision(); revision == 0 {
			r.say(corev1.EventTypeWarning, reasonRevisionNotFound, "Unable to find last revision.")
			return
		}
	}
	for _, s := range r.all() {
		if revisionOf(s) != revision {
			continue
		}
		if sameTemplate(&s.Spec.Template, &d.Spec.Template) {
			r.say(corev1.EventTypeWarning, reasonTemplateUnchanged, fmt.Sprintf("The rollback revision contains the same template as current deployment %q", d.Name))
			return
		}
		takeBack(d, s)
		r.say(corev1.EventTypeNormal, reasonRolledBack, fmt.Sprintf("Rolled back deployment %q to revision %d", d.Name, revision))
		return
	}
	r.say(corev1.EventTypeWarning, reasonRevisionNotFound, "Unable to find the revision to rollback to.")
}

// takeBack gives d the template that a set has, and the annotations that the
// set once took over from it.
func takeBack(d *appsv1.Deployment, s *appsv1.ReplicaSet) {
	d.Spec.Template = *s.Spec.Template.DeepCopy()
	d.Spec.Template.ObjectMeta = *withoutHash(d.Spec.Template.ObjectMeta)
	for k := range inherited(d.Annotations) {
		delete(d.Annotations, k)
	}
	if d.Annotations == nil {
		d.Annotations = map[string]string{}
	}
	maps.Copy(d.Annotations, inherited(s.Annotations))
}

// lastRevision returns the second highest revision, 0 if there is none.
func (r *rollout) lastRevision() int64 {
	highest, last := int64(0), int64(0)
	for _, s := range r.all() {
		switch n := revisionOf(s); {
		case n >= highest:
			highest, last = n, highest
		case n > last:
			last = n
		}
	}
	return last
}

func (r *rollout) say(kind, reason, message string) {
	r.plan.Events = append(r.plan.Events, Event{kind, reason, message})
}
