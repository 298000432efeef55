package crash

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// unnoticed does to a good state, one at a time, what bugs would do, and returns
// what the oracle does not see: an oracle that sees nothing proves nothing.
func unnoticed(p *plan, good *state) []string {
	var blind []string
	for name, harm := range harms {
		harmed := *good
		harm(&harmed)
		if len(differences(p, &harmed)) == 0 {
			blind = append(blind, name)
		}
	}
	slices.Sort(blind)
	return blind
}

// alter gives the state another version of one object.
func alter[T any, O interface {
	*T
	client.Object
}](all *[]T, namespace, name string, how func(O)) {
	*all = slices.Clone(*all)
	for i := range *all {
		if o := O(&(*all)[i]); o.GetNamespace() == namespace && o.GetName() == name {
			copied := o.DeepCopyObject().(O)
			how(copied)
			(*all)[i] = *copied
		}
	}
}

// drop takes an object out of the state.
func drop[T any, O interface {
	*T
	client.Object
}](all *[]T, namespace, name string) {
	*all = slices.DeleteFunc(slices.Clone(*all), func(t T) bool {
		o := O(&t)
		return o.GetNamespace() == namespace && o.GetName() == name
	})
}

// aPod returns the first pod of an app, or of a Job.
func aPod(s *state, label, value string) *corev1.Pod {
	for i := range s.pods {
		if s.pods[i].Labels[label] == value {
			return &s.pods[i]
		}
	}
	return &corev1.Pod{}
}

func aVolume(s *state) *corev1.PersistentVolume {
	for i := range s.volumes {
		if s.volumes[i].Status.Phase == corev1.VolumeBound {
			return &s.volumes[i]
		}
	}
	return &corev1.PersistentVolume{}
}

func again(s *state, pod *corev1.Pod) {
	twin := pod.DeepCopy()
	twin.Name, twin.UID, twin.Status.PodIP = twin.Name+"-twin", "twin", "192.0.2.1"
	s.pods = append(slices.Clone(s.pods), *twin)
}

var harms = map[string]func(*state){
	"a pod too many of a Deployment": func(s *state) { again(s, aPod(s, "app", "web")) },
	"a pod too many of a Job":        func(s *state) { again(s, aPod(s, batchv1.JobNameLabel, "many")) },
	"an index twice":                 func(s *state) { again(s, aPod(s, batchv1.JobNameLabel, "indexed")) },
	"two agents on a node":           func(s *state) { again(s, aPod(s, "app", "agent")) },
	"a pod too few": func(s *state) {
		pod := aPod(s, "app", "orphaned")
		drop(&s.pods, pod.Namespace, pod.Name)
	},
	"a pod without owner": func(s *state) {
		alter(&s.pods, "work", aPod(s, "app", "web").Name, func(p *corev1.Pod) { p.OwnerReferences = nil })
	},
	"a pod with a finalizer": func(s *state) {
		alter(&s.pods, "work", aPod(s, batchv1.JobNameLabel, "many").Name, func(p *corev1.Pod) { p.Finalizers = []string{batchv1.JobTrackingFinalizer} })
	},
	"a pod at an old revision": func(s *state) {
		alter(&s.pods, "work", aPod(s, "app", "agent").Name, func(p *corev1.Pod) { p.Spec.Containers[0].Image = image("agent", 1) })
	},
	"two pods with one address": func(s *state) {
		other := aPod(s, "app", "orphaned").Status.PodIP
		alter(&s.pods, "work", aPod(s, "app", "agent").Name, func(p *corev1.Pod) { p.Status.PodIP = other })
	},
	"a Job that counted twice":   func(s *state) { alter(&s.jobs, "work", "many", func(j *batchv1.Job) { j.Status.Succeeded++ }) },
	"a Job that is not complete": func(s *state) { alter(&s.jobs, "work", "indexed", func(j *batchv1.Job) { j.Status.Conditions = nil }) },
	"a Job that lost an index": func(s *state) {
		alter(&s.jobs, "work", "indexed", func(j *batchv1.Job) { j.Status.CompletedIndexes = "0-28" })
	},
	"a Job with other failures": func(s *state) {
		alter(&s.jobs, "work", "some-fail", func(j *batchv1.Job) { j.Status.FailedIndexes = nil })
	},
	"a Job with uncounted pods": func(s *state) {
		alter(&s.jobs, "work", "many", func(j *batchv1.Job) {
			j.Status.UncountedTerminatedPods = &batchv1.UncountedTerminatedPods{Succeeded: []types.UID{"x"}}
		})
	},
	"a Deployment that is not observed": func(s *state) {
		alter(&s.deployments, "work", "web", func(d *appsv1.Deployment) { d.Status.ObservedGeneration-- })
	},
	"a Deployment at another revision": func(s *state) {
		alter(&s.deployments, "work", "web", func(d *appsv1.Deployment) { d.Annotations[revision] = "99" })
	},
	"a ReplicaSet too many": func(s *state) {
		set := s.replicaSets[0].DeepCopy()
		set.Name, set.UID, set.Namespace, set.Labels = "more", "more", "work", map[string]string{"app": "fore"}
		s.replicaSets = append(slices.Clone(s.replicaSets), *set)
	},
	"a StatefulSet between revisions": func(s *state) {
		alter(&s.statefulSets, "work", "db", func(d *appsv1.StatefulSet) { d.Status.CurrentRevision = "x" })
	},
	"no ControllerRevision": func(s *state) { s.revisions = nil },
	"a claim too many": func(s *state) {
		c := s.claims[0].DeepCopy()
		c.Name, c.Namespace = "data-db-9", "work"
		s.claims = append(slices.Clone(s.claims), *c)
	},
	"a claim too few": func(s *state) { drop(&s.claims, "work", "data-db-0") },
	"a volume without a claim": func(s *state) {
		v := aVolume(s).DeepCopy()
		v.Name = "pv"
		s.volumes = append(slices.Clone(s.volumes), *v)
	},
	"a volume too few": func(s *state) { drop(&s.volumes, "", aVolume(s).Name) },
	"a Service without address": func(s *state) {
		drop(&s.addresses, "", find(s.services, "work", "web").Spec.ClusterIP)
	},
	"two Services with one address": func(s *state) {
		ip := find(s.services, "work", "web").Spec.ClusterIPs
		alter(&s.services, "work", "new-0", func(o *corev1.Service) { o.Spec.ClusterIPs = ip })
	},
	"two Services with one node port": func(s *state) {
		port := find(s.services, "work", "web").Spec.Ports[0].NodePort
		alter(&s.services, "work", "new-0", func(o *corev1.Service) { o.Spec.Ports[0].NodePort = port })
	},
	"an address without a Service": func(s *state) {
		s.addresses = append(slices.Clone(s.addresses), networkingv1.IPAddress{ObjectMeta: metav1.ObjectMeta{Name: "10.9.9.9"}, Spec: networkingv1.IPAddressSpec{ParentRef: &networkingv1.ParentReference{}}})
	},
	"an endpoint too few": func(s *state) { s.slices = nil },
	"no Endpoints":        func(s *state) { s.endpoints = nil },
	"a budget that is behind": func(s *state) {
		s.budgets = slices.Clone(s.budgets)
		s.budgets[0].Status.DisruptionsAllowed++
	},
	"a quota that counts wrong": func(s *state) {
		alter(&s.quotas, "work", "all", func(q *corev1.ResourceQuota) { q.Status.Used["count/pods"] = resource.MustParse("1") })
	},
	"a namespace that is still there": func(s *state) {
		s.namespaces = append(slices.Clone(s.namespaces), corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "doomed"}})
	},
	"a namespace without account": func(s *state) { drop(&s.accounts, "work", "default") },
	"what should be collected": func(s *state) {
		s.maps = append(slices.Clone(s.maps), corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "work", Name: "ship-0-own"}})
	},
	"what should be kept": func(s *state) { drop(&s.maps, "work", "ship-1-shared") },
	"an object being deleted": func(s *state) {
		s.all = slices.Clone(s.all)
		s.all[0].DeletionTimestamp = &metav1.Time{}
	},
	"an owner that is gone": func(s *state) {
		s.all = slices.Clone(s.all)
		s.all[0].OwnerReferences = []metav1.OwnerReference{{UID: "gone"}}
	},
	"an object in no namespace": func(s *state) {
		s.all = slices.Clone(s.all)
		s.all[0].Namespace = "gone"
	},
}
