package apiserver

import (
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/cache"

	"github.com/coracle-k8s/coracle/apiserver/auth/authz"
	"github.com/coracle-k8s/coracle/apiserver/auth/node"
	"github.com/coracle-k8s/coracle/apiserver/auth/rbac"
)

func (a *access) authorization() error {
	watched := func(group, resource string) cache.ListerWatcher {
		return a.watch(schema.GroupResource{Group: group, Resource: resource})
	}
	const group = "rbac.authorization.k8s.io"
	a.roles = rbac.NewLive(rbac.Watches{
		ClusterRoles: watched(group, "clusterroles"), Roles: watched(group, "roles"),
		ClusterRoleBindings: watched(group, "clusterrolebindings"), RoleBindings: watched(group, "rolebindings"),
	})
	a.graph = node.NewGraph(node.Watches{
		Pods: watched("", "pods"), PersistentVolumes: a.watchIf("", "persistentvolumes"), VolumeAttachments: a.watchIf("storage.k8s.io", "volumeattachments"),
		ResourceSlices: a.watchIf("resource.k8s.io", "resourceslices"), PodCertificateRequests: a.watchIf("certificates.k8s.io", "podcertificaterequests"),
	})
	if err := a.authorizers(node.New(a.graph), rbac.New(a.roles)); err != nil {
		return err
	}
	a.escalation = &rbac.EscalationChecker{Authorizer: a.authorizer, Resolver: rbac.NewResolver(a.roles)}
	return nil
}

// watchIf returns nil if the server has no such resource.
func (a *access) watchIf(group, resource string) cache.ListerWatcher {
	gr := schema.GroupResource{Group: group, Resource: resource}
	for _, r := range a.server.config.Resources {
		if r.GVR().GroupResource() == gr {
			return a.watch(gr)
		}
	}
	return nil
}

// authorizers sets up those of the modes or of the configuration file, or
// upstream's usual ones.
func (a *access) authorizers(node, rbac authz.Full) error {
	c := a.server.config
	config := authz.FileConfig{File: c.Settings.Authorization.ConfigFile, Node: node, RBAC: rbac, ServerID: a.server.id(), Report: c.Report}
	if len(c.Settings.Authorization.Modes) > 0 {
		modes, err := authz.OpenModes(config, c.Settings.Authorization)
		a.authorizer, a.rules = modes, modes
		return err
	}
	if config.File == "" {
		var err error
		a.authorizer, a.rules, err = authz.New(authz.Config{Node: node, RBAC: rbac})
		return err
	}
	file, err := authz.OpenFile(config)
	if err != nil {
		return err
	}
	a.runners = append(a.runners, file.Run)
	a.authorizer, a.rules = file, file
	return nil
}
