package scheduling

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
)

// Priorities: https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/.
const (
	// HighestUserDefinable is the highest value users may give a class.
	HighestUserDefinable = 1000 * 1000 * 1000
	// ClusterCritical and NodeCritical are the values of the system's classes.
	ClusterCritical = 2 * HighestUserDefinable
	NodeCritical    = ClusterCritical + 1000

	systemPrefix = "system-"
)

// SystemClasses returns the classes that exist in every cluster.
func SystemClasses() []*schedulingv1.PriorityClass {
	class := func(name string, value int32, description string) *schedulingv1.PriorityClass {
		return &schedulingv1.PriorityClass{
			ObjectMeta: metav1.ObjectMeta{Name: name}, Value: value, Description: description,
			PreemptionPolicy: ptr.To(corev1.PreemptLowerPriority),
		}
	}
	return []*schedulingv1.PriorityClass{
		class("system-node-critical", NodeCritical, "Used for system critical pods that must not be moved from their current node."),
		class("system-cluster-critical", ClusterCritical, "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary."),
	}
}

// SystemClass finds one of SystemClasses.
func SystemClass(name string) (*schedulingv1.PriorityClass, bool) {
	for _, c := range SystemClasses() {
		if c.Name == name {
			return c, true
		}
	}
	return nil, false
}

// ValidatePriorityClass validates a new PriorityClass.
func ValidatePriorityClass(c *schedulingv1.PriorityClass) field.ErrorList {
	errs := validation.ValidateObjectMeta(&c.ObjectMeta, false, validation.NameIsDNSSubdomain, field.NewPath("metadata"))
	switch {
	case strings.HasPrefix(c.Name, systemPrefix):
		if msg := notSystem(c); msg != "" {
			errs = append(errs, field.Forbidden(field.NewPath("metadata", "name"), "priority class names with '"+systemPrefix+"' prefix are reserved for system use only. error: "+msg))
		}
	case c.Value > HighestUserDefinable:
		errs = append(errs, field.Forbidden(field.NewPath("value"), fmt.Sprintf("maximum allowed value of a user defined priority is %v", HighestUserDefinable)))
	}
	if p := c.PreemptionPolicy; p != nil {
		path, known := field.NewPath("preemptionPolicy"), []corev1.PreemptionPolicy{corev1.PreemptLowerPriority, corev1.PreemptNever}
		switch *p {
		case known[0], known[1]:
		case "":
			errs = append(errs, field.Required(path, ""))
		default:
			errs = append(errs, field.NotSupported(path, *p, known))
		}
	}
	return errs
}

// notSystem returns how a class differs from the system's class of its name, ""
// if it does not.
func notSystem(c *schedulingv1.PriorityClass) string {
	system, ok := SystemClass(c.Name)
	switch {
	case !ok:
		return fmt.Sprintf("%v is not a known system priority class", c.Name)
	case system.Value != c.Value:
		return fmt.Sprintf("value of %v PriorityClass must be %v", c.Name, system.Value)
	case system.GlobalDefault != c.GlobalDefault:
		return fmt.Sprintf("globalDefault of %v PriorityClass must be %v", c.Name, system.GlobalDefault)
	}
	return ""
}

// ValidatePriorityClassUpdate validates a changed PriorityClass: pods that
// have its value already would not follow a change.
func ValidatePriorityClassUpdate(c, old *schedulingv1.PriorityClass) field.ErrorList {
	errs := validation.ValidateObjectMetaUpdate(&c.ObjectMeta, &old.ObjectMeta, field.NewPath("metadata"))
	if c.Value != old.Value {
		errs = append(errs, field.Forbidden(field.NewPath("value"), "may not be changed in an update."))
	}
	return append(errs, validation.ValidateImmutableField(c.PreemptionPolicy, old.PreemptionPolicy, field.NewPath("preemptionPolicy"))...)
}
