package access

import (
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/cache"

	"github.com/coracle-k8s/coracle/apiserver/auth/authz"
	"github.com/coracle-k8s/coracle/apiserver/auth/node"
	"github.com/coracle-k8s/coracle/apiserver/auth/rbac"
)

func (a *Access) authorization() error {
	watched := func(group, resource string) cache.ListerWatcher {
		return a.config.Stores.Watch(schema.GroupResource{Group: group, Resource: resource})
	}
	const group = "rbac.authorization.k8s.io"
	a.Roles = rbac.NewLive(rbac.Watches{
		ClusterRoles: watched(group, "clusterroles"), Roles: watched(group, "roles"),
		ClusterRoleBindings: watched(group, "clusterrolebindings"), RoleBindings: watched(group, "rolebindings"),
	})
	a.Graph = node.NewGraph(node.Watches{
		Pods: watched("", "pods"), PersistentVolumes: a.watchIf("", "persistentvolumes"), VolumeAttachments: a.watchIf("storage.k8s.io", "volumeattachments"),
		ResourceSlices: a.watchIf("resource.k8s.io", "resourceslices"), PodCertificateRequests: a.watchIf("certificates.k8s.io", "podcertificaterequests"),
	})
	if err := a.authorizers(node.New(a.Graph), rbac.New(a.Roles)); err != nil {
		return err
	}
	a.Escalation = &rbac.EscalationChecker{Authorizer: a.Authorizer, Resolver: rbac.NewResolver(a.Roles)}
	return nil
}

// watchIf returns nil if the server has no such resource.
func (a *Access) watchIf(group, resource string) cache.ListerWatcher {
	gr := schema.GroupResource{Group: group, Resource: resource}
	for _, r := range a.config.Resources {
		if r.GVR().GroupResource() == gr {
			return a.config.Stores.Watch(gr)
		}
	}
	return nil
}

// authorizers sets up those of the modes or of the configuration file, or
// upstream's usual ones.
func (a *Access) authorizers(node, rbac authz.Full) error {
	c := a.config
	config := authz.FileConfig{File: c.Settings.Authorization.ConfigFile, Node: node, RBAC: rbac, ServerID: a.config.ServerID, Report: c.Report}
	if len(c.Settings.Authorization.Modes) > 0 {
		modes, err := authz.OpenModes(config, c.Settings.Authorization)
		a.Authorizer, a.Rules = modes, modes
		return err
	}
	if config.File == "" {
		var err error
		a.Authorizer, a.Rules, err = authz.New(authz.Config{Node: node, RBAC: rbac})
		return err
	}
	file, err := authz.OpenFile(config)
	if err != nil {
		return err
	}
	a.Runners = append(a.Runners, file.Run)
	a.Authorizer, a.Rules = file, file
	return nil
}
