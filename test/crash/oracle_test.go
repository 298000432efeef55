package crash

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
)

// oracle finds how a state differs from the one that every run of a plan must
// end in, whatever happened between. It is obvious rather than quick.
type oracle struct {
	p   *plan
	s   *state
	odd []string
}

// differences are empty when all is as it must be.
func differences(p *plan, s *state) []string {
	o := &oracle{p: p, s: s}
	o.everyObject()
	o.everyPod()
	o.everyNamespace()
	o.workloads()
	o.jobs()
	o.services()
	o.claims()
	o.quotas()
	slices.Sort(o.odd)
	return slices.Compact(o.odd)
}

func (o *oracle) say(format string, args ...any) { o.odd = append(o.odd, fmt.Sprintf(format, args...)) }

// same reports a difference between two values.
func same[T comparable](o *oracle, what string, got, want T) {
	if got != want {
		o.say("%s: %v, not %v", what, got, want)
	}
}

// everyObject holds for whatever there is: nothing is being deleted, nothing
// refers to an owner that is gone, nothing is in a namespace that is gone.
func (o *oracle) everyObject() {
	uids, namespaces := sets.New[types.UID](), sets.New("")
	for _, x := range o.s.all {
		uids.Insert(x.UID)
		if x.Group == "" && x.Resource == "namespaces" {
			namespaces.Insert(x.Name)
		}
	}
	for _, x := range o.s.all {
		if x.DeletionTimestamp != nil {
			o.say("%s is still being deleted, finalizers %v", x, x.Finalizers)
		}
		if !namespaces.Has(x.Namespace) {
			o.say("%s is in a namespace that is gone", x)
		}
		for _, ref := range x.OwnerReferences {
			if !uids.Has(ref.UID) {
				o.say("%s has an owner that is gone: %s %s", x, ref.Kind, ref.Name)
			}
		}
		if strings.HasPrefix(x.Group, "crash.test") && x.Namespace == "work" && x.Resource == "wrecks" {
			o.say("%s survived its definition", x)
		}
	}
}

// everyPod checks that each pod runs or has ended, has an owner, and shares
// neither its address nor more of its node than there is.
func (o *oracle) everyPod() {
	addresses, uses, counts := map[string]string{}, map[string]int64{}, map[string]int64{}
	for i := range o.s.pods {
		pod := &o.s.pods[i]
		name := pod.Namespace + "/" + pod.Name
		if len(pod.Finalizers) > 0 {
			o.say("pod %s has finalizers %v", name, pod.Finalizers)
		}
		if pod.DeletionTimestamp != nil {
			o.say("pod %s is being deleted", name)
		}
		if len(pod.OwnerReferences) != 1 {
			o.say("pod %s has %d owners", name, len(pod.OwnerReferences))
		}
		if ended(pod) {
			continue
		}
		if pod.Status.Phase != corev1.PodRunning || !ready(pod) {
			o.say("pod %s is %s, ready %t, on node %q", name, pod.Status.Phase, ready(pod), pod.Spec.NodeName)
		}
		if other := addresses[pod.Status.PodIP]; other != "" {
			o.say("pods %s and %s have the address %s", name, other, pod.Status.PodIP)
		}
		addresses[pod.Status.PodIP] = name
		uses[pod.Spec.NodeName] += cpu(pod)
		counts[pod.Spec.NodeName]++
	}
	for i := range o.s.nodes {
		node := &o.s.nodes[i]
		if uses[node.Name] > node.Status.Allocatable.Cpu().MilliValue() || counts[node.Name] > node.Status.Allocatable.Pods().Value() {
			o.say("node %s holds %d pods with %d m of CPU", node.Name, counts[node.Name], uses[node.Name])
		}
	}
	same(o, "nodes", len(o.s.nodes), o.p.Nodes)
}

func cpu(pod *corev1.Pod) (total int64) {
	for i := range pod.Spec.Containers {
		total += pod.Spec.Containers[i].Resources.Requests.Cpu().MilliValue()
	}
	return total
}

func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

func ready(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// everyNamespace has what each namespace gets, and the deleted one is gone.
func (o *oracle) everyNamespace() {
	want := sets.New("default", "kube-system", "kube-public", "kube-node-lease", "work", "notes")
	for i := range o.s.namespaces {
		ns := &o.s.namespaces[i]
		if !want.Has(ns.Name) {
			o.say("namespace %s is there, %s: %v", ns.Name, ns.Status.Phase, ns.Status.Conditions)
		}
		want.Delete(ns.Name)
		same(o, "namespace "+ns.Name+" has its ServiceAccount", find(o.s.accounts, ns.Name, "default") != nil, true)
		same(o, "namespace "+ns.Name+" has its root certificate", find(o.s.maps, ns.Name, "kube-root-ca.crt") != nil, true)
	}
	if len(want) > 0 {
		o.say("namespaces are missing: %v", sets.List(want))
	}
	for i, n := range o.p.Ships {
		own, shared := fmt.Sprintf("ship-%d-own", n), find(o.s.maps, "work", fmt.Sprintf("ship-%d-shared", n))
		same(o, "ConfigMap "+own+" is there", find(o.s.maps, "work", own) != nil, i%3 == 2)
		if shared == nil {
			o.say("ConfigMap ship-%d-shared is gone, though it has another owner", n)
		} else {
			same(o, "owners of ConfigMap "+shared.Name, len(shared.OwnerReferences), 1)
		}
	}
}
