package rbac

import (
	certificatesv1 "k8s.io/api/certificates/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
)

// ClusterRoles returns Kubernetes' default cluster roles, those of its
// controllers included. Roles and rules of alpha features are left out.
func ClusterRoles() []rbacv1.ClusterRole {
	var all []rbacv1.ClusterRole
	all = append(all, userRoles()...)
	all = append(all, publicRoles()...)
	all = append(all, nodeRoles()...)
	all = append(all, componentRoles()...)
	all = append(all, certificateRoles()...)
	return append(all, controllerRoles()...)
}

// userRoles returns the roles meant to be bound to people.
func userRoles() []rbacv1.ClusterRole {
	return []rbacv1.ClusterRole{
		clusterRole("cluster-admin", allow("*", "*", "*"), urls("*", "*")),
		aggregated(clusterRole("admin")),
		aggregated(part("admin", "edit")),
		aggregated(part("edit", "view")),
		part("admin", "system:aggregate-to-admin",
			allow("create", "authorization.k8s.io", "localsubjectaccessreviews"),
			allow(readWrite, "rbac.authorization.k8s.io", "roles rolebindings"),
		),
		part("edit", "system:aggregate-to-edit", editRules()...),
		part("view", "system:aggregate-to-view", viewRules()...),
	}
}

// editRules returns the rights in a namespace of users who may not grant
// rights. Reading what escalates (secrets, exec) is here, not in view.
func editRules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		allow(read, "core", "pods/attach pods/proxy pods/exec pods/portforward secrets services/proxy"),
		allow("impersonate", "core", "serviceaccounts"),
		allow(write, "core", "pods pods/attach pods/proxy pods/exec pods/portforward"),
		allow("create", "core", "pods/eviction"),
		allow(write, "core", "replicationcontrollers replicationcontrollers/scale serviceaccounts services services/proxy persistentvolumeclaims configmaps secrets"),
		allow(write, "core events.k8s.io", "events"),
		allow("create", "core", "serviceaccounts/token"),
		allow(write, "apps", "statefulsets statefulsets/scale daemonsets deployments deployments/scale deployments/rollback replicasets replicasets/scale"),
		allow(write, "autoscaling", "horizontalpodautoscalers"),
		allow(write, "batch", "jobs cronjobs"),
		allow(write, "extensions", "daemonsets deployments deployments/scale deployments/rollback ingresses replicasets replicasets/scale replicationcontrollers/scale networkpolicies"),
		allow(write, "policy", "poddisruptionbudgets"),
		allow(write, "networking.k8s.io", "networkpolicies ingresses"),
		allow(readWrite, "coordination.k8s.io", "leases"),
		allow(write, "resource.k8s.io", "resourceclaims resourceclaimtemplates"),
	}
}

func viewRules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		allow(read, "core", "pods replicationcontrollers replicationcontrollers/scale serviceaccounts services services/status endpoints persistentvolumeclaims persistentvolumeclaims/status configmaps"),
		allow(read, "core", "limitranges resourcequotas bindings pods/status resourcequotas/status namespaces/status replicationcontrollers/status pods/log"),
		allow(read, "core events.k8s.io", "events"),
		// In a namespace this reads that one namespace.
		allow(read, "core", "namespaces"),
		allow(read, "discovery.k8s.io", "endpointslices"),
		allow(read, "apps", "controllerrevisions statefulsets statefulsets/status statefulsets/scale daemonsets daemonsets/status deployments deployments/status deployments/scale replicasets replicasets/status replicasets/scale"),
		allow(read, "autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status"),
		allow(read, "batch", "jobs jobs/status cronjobs cronjobs/status"),
		allow(read, "extensions", "daemonsets daemonsets/status deployments deployments/scale deployments/status ingresses ingresses/status replicasets replicasets/scale replicasets/status replicationcontrollers/scale networkpolicies"),
		allow(read, "policy", "poddisruptionbudgets poddisruptionbudgets/status"),
		allow(read, "networking.k8s.io", "networkpolicies ingresses ingresses/status"),
		allow(read, "resource.k8s.io", "resourceclaims resourceclaims/status resourceclaimtemplates"),
	}
}

// publicRoles returns the roles of all users, and of all authenticated users.
func publicRoles() []rbacv1.ClusterRole {
	const health = "/livez /readyz /healthz"
	return []rbacv1.ClusterRole{
		clusterRole("system:discovery", urls("get", health+" /version /version/ /openapi /openapi/* /api /api/* /apis /apis/*")),
		clusterRole("system:basic-user",
			allow("create", "authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews"),
			allow("create", "authentication.k8s.io", "selfsubjectreviews"),
		),
		clusterRole("system:public-info-viewer", urls("get", health+" /version /version/")),
		clusterRole("system:monitoring",
			urls("get", "/metrics /metrics/slis /livez /livez/* /readyz /readyz/* /healthz /healthz/*"),
			allow("get", "core", "nodes/metrics"),
			urls("get", "/flagz"),
			urls("get", "/statusz"),
		),
		clusterRole("system:service-account-issuer-discovery",
			urls("get", "/.well-known/openid-configuration /.well-known/openid-configuration/ /openid/v1/jwks /openid/v1/jwks/")),
		clusterRole("system:cluster-trust-bundle-discovery", allow(read, "certificates.k8s.io", "clustertrustbundles")),
	}
}

// NodeRules returns the rights of nodes that do not depend on which objects
// belong to them; the node authorizer decides about the others.
func NodeRules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		// For the agent's own API.
		allow("create", "authentication.k8s.io", "tokenreviews"),
		allow("create", "authorization.k8s.io", "subjectaccessreviews localsubjectaccessreviews"),
		allow(read, "core", "services"),
		allow("create get list watch", "core", "nodes"),
		allow("update patch", "core", "nodes/status"),
		allow("update patch", "core", "nodes"),
		events(),
		allow(read, "core", "pods"),
		// Mirror pods.
		allow("create delete", "core", "pods"),
		allow("update patch", "core", "pods/status"),
		allow("create", "core", "pods/eviction"),
		allow(read, "core", "secrets configmaps"),
		allow("get", "core", "persistentvolumeclaims persistentvolumes"),
		allow("get", "core", "endpoints"),
		allow("create get list watch", "certificates.k8s.io", "certificatesigningrequests"),
		allow("get create update patch delete", "coordination.k8s.io", "leases"),
		allow("get", "storage.k8s.io", "volumeattachments"),
		allow("create", "core", "serviceaccounts/token"),
		allow("get update patch", "core", "persistentvolumeclaims/status"),
		allow(read, "storage.k8s.io", "csidrivers"),
		allow("get create update patch delete", "storage.k8s.io", "csinodes"),
		allow(read, "node.k8s.io", "runtimeclasses"),
		allow("get", "resource.k8s.io", "resourceclaims"),
		allow("deletecollection", "resource.k8s.io", "resourceslices"),
		allow(read, "certificates.k8s.io", "clustertrustbundles"),
		allow("get list watch create", "certificates.k8s.io", "podcertificaterequests"),
		allow("get", "core", "serviceaccounts"),
	}
}

func nodeRoles() []rbacv1.ClusterRole {
	return []rbacv1.ClusterRole{
		clusterRole("system:node", NodeRules()...),
		clusterRole("system:node-proxier",
			allow("list watch", "core", "services endpoints"),
			allow(read, "core", "nodes"),
			events(),
			allow("list watch", "networking.k8s.io", "servicecidrs"),
			allow("list watch", "discovery.k8s.io", "endpointslices"),
		),
		clusterRole("system:node-bootstrapper", allow("create get list watch", "certificates.k8s.io", "certificatesigningrequests")),
		clusterRole("system:node-problem-detector",
			allow("get", "core", "nodes"),
			allow("patch", "core", "nodes/status"),
			events(),
		),
		clusterRole("system:kubelet-api-admin",
			allow(read, "core", "nodes"),
			allow("proxy", "core", "nodes"),
			allow("*", "core", "nodes/proxy nodes/metrics nodes/stats nodes/log"),
			allow("*", "core", "nodes/configz nodes/healthz nodes/pods"),
		),
	}
}

func componentRoles() []rbacv1.ClusterRole {
	return []rbacv1.ClusterRole{
		clusterRole("system:auth-delegator",
			allow("create", "authentication.k8s.io", "tokenreviews"),
			allow("create", "authorization.k8s.io", "subjectaccessreviews"),
		),
		clusterRole("system:heapster",
			allow(read, "core", "events pods nodes namespaces"),
			allow(read, "extensions", "deployments"),
		),
		clusterRole("system:kube-aggregator", allow(read, "core", "services endpoints")),
		clusterRole("system:kube-controller-manager",
			events(),
			allow("create", "coordination.k8s.io", "leases"),
			allow("get update", "coordination.k8s.io", "leases", "kube-controller-manager"),
			allow("create", "core", "secrets serviceaccounts"),
			allow("delete", "core", "secrets"),
			allow("get", "core", "namespaces secrets serviceaccounts configmaps"),
			allow("update", "core", "secrets serviceaccounts"),
			allow("create", "authentication.k8s.io", "tokenreviews"),
			allow("create", "authorization.k8s.io", "subjectaccessreviews"),
			// For garbage collection, quota and namespaces.
			allow("list watch", "*", "*"),
			allow("create", "core", "serviceaccounts/token"),
		),
		clusterRole("system:kube-dns", allow("list watch", "core", "endpoints services")),
		clusterRole("system:kube-scheduler", schedulerRules()...),
		clusterRole("system:persistent-volume-provisioner",
			allow("get list watch create delete", "core", "persistentvolumes"),
			allow("get list watch update", "core", "persistentvolumeclaims"),
			allow(read, "storage.k8s.io", "storageclasses"),
			allow("watch", "core", "events"),
			events(),
		),
		clusterRole("system:volume-scheduler",
			allow("get list watch update patch", "core", "persistentvolumes"),
			allow(read, "storage.k8s.io", "storageclasses"),
			allow("get list watch update patch", "core", "persistentvolumeclaims"),
		),
	}
}

func schedulerRules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		events(),
		allow("create", "coordination.k8s.io", "leases"),
		allow("get list update watch", "coordination.k8s.io", "leases", "kube-scheduler"),
		allow(readWrite, "coordination.k8s.io", "leasecandidates"),
		allow(read, "core", "nodes"),
		allow("get list watch delete", "core", "pods"),
		allow("create", "core", "pods/binding bindings"),
		allow("update patch", "core", "pods/status"),
		allow(read, "core", "services replicationcontrollers"),
		allow(read, "apps extensions", "replicasets"),
		allow(read, "apps", "statefulsets"),
		allow(read, "policy", "poddisruptionbudgets"),
		allow(read, "core", "persistentvolumeclaims persistentvolumes"),
		allow("create", "authentication.k8s.io", "tokenreviews"),
		allow("create", "authorization.k8s.io", "subjectaccessreviews"),
		allow(read, "storage.k8s.io", "csinodes"),
		allow(read, "storage.k8s.io", "volumeattachments"),
		allow(read, "core", "namespaces"),
		allow(read, "storage.k8s.io", "csidrivers"),
		allow(read, "storage.k8s.io", "csistoragecapacities"),
		allow(read, "resource.k8s.io", "deviceclasses"),
		allow("get list watch update patch", "resource.k8s.io", "resourceclaims"),
		allow("get list watch update patch", "resource.k8s.io", "resourceclaims/status"),
		allow("create delete", "resource.k8s.io", "resourceclaims"),
		allow("update patch", "resource.k8s.io", "resourceclaims/binding"),
		allow("update", "core", "pods/finalizers"),
		allow(read, "resource.k8s.io", "resourceslices"),
		allow(read, "resource.k8s.io", "devicetaintrules"),
	}
}

func certificateRoles() []rbacv1.ClusterRole {
	const prefix, g = "system:certificates.k8s.io:", "certificates.k8s.io"
	return []rbacv1.ClusterRole{
		clusterRole(prefix+"certificatesigningrequests:nodeclient", allow("create", g, "certificatesigningrequests/nodeclient")),
		clusterRole(prefix+"certificatesigningrequests:selfnodeclient", allow("create", g, "certificatesigningrequests/selfnodeclient")),
		clusterRole(prefix+"legacy-unknown-approver", allow("approve", g, "signers", "kubernetes.io/legacy-unknown")),
		clusterRole(prefix+"kubelet-serving-approver", allow("approve", g, "signers", certificatesv1.KubeletServingSignerName)),
		clusterRole(prefix+"kube-apiserver-client-approver", allow("approve", g, "signers", certificatesv1.KubeAPIServerClientSignerName)),
		clusterRole(prefix+"kube-apiserver-client-kubelet-approver", allow("approve", g, "signers", certificatesv1.KubeAPIServerClientKubeletSignerName)),
	}
}

// ClusterRoleBindings returns Kubernetes' default cluster role bindings.
func ClusterRoleBindings() []rbacv1.ClusterRoleBinding {
	all := []rbacv1.ClusterRoleBinding{
		bind("cluster-admin", group(user.SystemPrivilegedGroup)),
		bind("system:monitoring", group(user.MonitoringGroup)),
		bind("system:discovery", group(user.AllAuthenticated)),
		bind("system:basic-user", group(user.AllAuthenticated)),
		bind("system:public-info-viewer", group(user.AllAuthenticated), group(user.AllUnauthenticated)),
		bind("system:node-proxier", asUser(user.KubeProxy)),
		bind("system:kube-controller-manager", asUser(user.KubeControllerManager)),
		bind("system:kube-dns", systemAccount("kube-dns")),
		bind("system:kube-scheduler", asUser(user.KubeScheduler)),
		bind("system:volume-scheduler", asUser(user.KubeScheduler)),
		bind("system:service-account-issuer-discovery", group("system:serviceaccounts")),
		bind("system:cluster-trust-bundle-discovery", group("system:serviceaccounts")),
		// No subjects by default: the node authorizer decides.
		bind("system:node"),
	}
	for _, r := range controllerRoles() {
		all = append(all, bind(r.Name, systemAccount(r.Name[len(controllerPrefix):])))
	}
	return all
}

// Roles returns Kubernetes' default roles, all in kube-system and kube-public.
func Roles() []rbacv1.Role {
	const system, public = metav1.NamespaceSystem, metav1.NamespacePublic
	lock := []rbacv1.PolicyRule{
		allow("get watch list create update", "coordination.k8s.io", "leases"),
		allow("get watch list create update", "coordination.k8s.io", "leasecandidates"),
	}
	return []rbacv1.Role{
		role(system, "extension-apiserver-authentication-reader", allow(read, "core", "configmaps", "extension-apiserver-authentication")),
		role(system, controllerPrefix+"bootstrap-signer", allow(read, "core", "secrets")),
		role(system, controllerPrefix+"cloud-provider", allow("create get list watch", "core", "configmaps")),
		role(system, controllerPrefix+"token-cleaner", allow("get list watch delete", "core", "secrets"), events()),
		role(system, "system::leader-locking-kube-controller-manager", lock...),
		role(system, "system::leader-locking-kube-scheduler", lock...),
		role(public, controllerPrefix+"bootstrap-signer",
			allow(read, "core", "configmaps"), allow("update", "core", "configmaps", "cluster-info"), events()),
	}
}

// RoleBindings returns Kubernetes' default role bindings.
func RoleBindings() []rbacv1.RoleBinding {
	const system, public = metav1.NamespaceSystem, metav1.NamespacePublic
	const manager, scheduler = "system::leader-locking-kube-controller-manager", "system::leader-locking-kube-scheduler"
	return []rbacv1.RoleBinding{
		bindRole(system, "system::extension-apiserver-authentication-reader", "extension-apiserver-authentication-reader",
			asUser(user.KubeControllerManager), asUser(user.KubeScheduler)),
		bindRole(system, manager, manager,
			asUser(user.KubeControllerManager), systemAccount("kube-controller-manager"), systemAccount("leader-election-controller")),
		bindRole(system, scheduler, scheduler, asUser(user.KubeScheduler), systemAccount("kube-scheduler")),
		bindRole(system, controllerPrefix+"bootstrap-signer", controllerPrefix+"bootstrap-signer", systemAccount("bootstrap-signer")),
		bindRole(system, controllerPrefix+"cloud-provider", controllerPrefix+"cloud-provider", systemAccount("cloud-provider")),
		bindRole(system, controllerPrefix+"token-cleaner", controllerPrefix+"token-cleaner", systemAccount("token-cleaner")),
		bindRole(public, controllerPrefix+"bootstrap-signer", controllerPrefix+"bootstrap-signer", systemAccount("bootstrap-signer")),
	}
}
