package v1alpha1

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// controllers are the controllers that can be turned on and off, with the short
// name under which kube-controller-manager takes them, too. Names and short names
// are upstream's:
// https://kubernetes.io/docs/reference/command-line-tools-reference/kube-controller-manager/.
var controllers = [...]struct{ name, alias string }{
	{"bootstrap-signer-controller", "bootstrapsigner"},
	{"certificatesigningrequest-approving-controller", "csrapproving"},
	{"certificatesigningrequest-cleaner-controller", "csrcleaner"},
	{"certificatesigningrequest-signing-controller", "csrsigning"},
	{"clusterrole-aggregation-controller", "clusterrole-aggregation"},
	{"cronjob-controller", "cronjob"},
	{"daemonset-controller", "daemonset"},
	{"deployment-controller", "deployment"},
	{"device-taint-eviction-controller", ""},
	{"disruption-controller", "disruption"},
	{"endpoints-controller", "endpoint"},
	{"endpointslice-controller", "endpointslice"},
	{"endpointslice-mirroring-controller", "endpointslicemirroring"},
	{"ephemeral-volume-controller", "ephemeral-volume"},
	{"garbage-collector-controller", "garbagecollector"},
	{"horizontal-pod-autoscaler-controller", "horizontalpodautoscaling"},
	{"job-controller", "job"},
	{"kube-apiserver-serving-clustertrustbundle-publisher-controller", ""},
	{"legacy-serviceaccount-token-cleaner-controller", "legacy-service-account-token-cleaner"},
	{"namespace-controller", "namespace"},
	{"node-ipam-controller", "nodeipam"},
	{"node-lifecycle-controller", "nodelifecycle"},
	{"persistentvolume-attach-detach-controller", "attachdetach"},
	{"persistentvolume-binder-controller", "persistentvolume-binder"},
	{"persistentvolume-expander-controller", "persistentvolume-expander"},
	{"persistentvolume-protection-controller", "pv-protection"},
	{"persistentvolumeclaim-protection-controller", "pvc-protection"},
	{"pod-garbage-collector-controller", "podgc"},
	{"replicaset-controller", "replicaset"},
	{"replicationcontroller-controller", "replicationcontroller"},
	{"resourceclaim-controller", "resource-claim-controller"},
	{"resourcequota-controller", "resourcequota"},
	{"root-ca-certificate-publisher-controller", "root-ca-cert-publisher"},
	{"service-cidr-controller", ""},
	{"serviceaccount-controller", "serviceaccount"},
	{"serviceaccount-token-controller", "serviceaccount-token"},
	{"statefulset-controller", "statefulset"},
	{"storage-version-migrator-controller", "svm"},
	{"taint-eviction-controller", ""},
	{"token-cleaner-controller", "tokencleaner"},
	{"ttl-after-finished-controller", "ttl-after-finished"},
	{"ttl-controller", "ttl"},
	{"volumeattributesclass-protection-controller", ""},

	// cloud-controller-manager's.
	{"service-lb-controller", "service"},

	// Coracle's own.
	{"cluster-dns-controller", ""},
	{"local-path-provisioner", ""},
}

// everyController in Enabled stands for all that are not named.
const everyController = "*"

// ControllerNames returns the names that Enabled may have, sorted but for those
// that kube-controller-manager does not have, which come last.
func ControllerNames() []string {
	names := make([]string, 0, len(controllers))
	for _, c := range controllers {
		names = append(names, c.name)
	}
	return names
}

// Runs reports whether Enabled lets the controller of that name run: the first
// entry that names it decides, else whether "*" is there.
func (c *Controllers) Runs(name string) bool {
	for _, entry := range c.Enabled {
		negated := strings.TrimPrefix(entry, "-")
		if canonical(negated) == name {
			return negated == entry
		}
	}
	return slices.Contains(c.Enabled, everyController)
}

// Any reports whether any controller runs.
func (c *Controllers) Any() bool {
	return slices.ContainsFunc(ControllerNames(), c.Runs)
}

// canonical returns the name of a controller that is known by an alias.
func canonical(name string) string {
	for _, c := range controllers {
		if c.alias == name && name != "" {
			return c.name
		}
	}
	return name
}

func (c *Controllers) validate(path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if c.Concurrency < 1 {
		errs = append(errs, field.Invalid(path.Child("concurrency"), c.Concurrency, "must be at least 1"))
	}
	known := ControllerNames()
	for i, entry := range c.Enabled {
		name := strings.TrimPrefix(entry, "-")
		if entry != everyController && !slices.Contains(known, canonical(name)) {
			errs = append(errs, field.Invalid(path.Child("enabled").Index(i), entry,
				fmt.Sprintf("%q is not in the list of known controllers: *, %s", name, strings.Join(known, ", "))))
		}
	}
	return errs
}
