// Package node serves core/v1 Nodes.
//
// The API of this package is not stable: see docs/api.md.
package node

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/coracle-k8s/coracle/apis/core"
	corevalidation "github.com/coracle-k8s/coracle/apis/core/validation"
	corewarnings "github.com/coracle-k8s/coracle/apis/core/warnings"
	"github.com/coracle-k8s/coracle/apiserver/registry"
	"github.com/coracle-k8s/coracle/apiserver/registry/core/connect"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*corev1.Node]{
		GVK:              corev1.SchemeGroupVersion.WithKind("Node"),
		Plural:           "nodes",
		ShortNames:       []string{"no"},
		ClusterScoped:    true,
		New:              func() *corev1.Node { return &corev1.Node{} },
		NewList:          func() runtime.Object { return &corev1.NodeList{} },
		NoGeneration:     true,
		StatusOnCreate:   true,
		Validate:         registry.Pure(corevalidation.ValidateNode),
		ValidateUpdate:   registry.PureUpdate(corevalidation.ValidateNodeUpdate),
		Warnings:         func(_ context.Context, n, _ *corev1.Node) []string { return corewarnings.NodeWarnings(n) },
		PrepareForCreate: func(_ context.Context, n *corev1.Node) { core.DropDisabledNodeFields(n, nil) },
		PrepareForUpdate: func(_ context.Context, n, old *corev1.Node) { core.DropDisabledNodeFields(n, old) },
		Fields: func(n *corev1.Node) fields.Set {
			return fields.Set{"spec.unschedulable": strconv.FormatBool(n.Spec.Unschedulable)}
		},
		Status: &registry.Status[*corev1.Node]{
			Prepare:  func(_ context.Context, n, old *corev1.Node) { core.DropDisabledNodeFields(n, old) },
			Validate: registry.PureUpdate(corevalidation.ValidateNodeStatusUpdate),
		},
		Table: table(),
		Subresources: []registry.Subresource{
			{Name: "proxy", GVK: corev1.SchemeGroupVersion.WithKind("NodeProxyOptions"), Verbs: []string{"create", "delete", "get", "patch", "update"}},
		},
		Extend: func(env registry.Env, store *genericregistry.Store, storages map[string]rest.Storage) error {
			storages["proxy"] = &proxyStorage{nodes: env.Nodes, store: store, transport: connect.DirectTransport()}
			return nil
		},
	}.Resource()
}

func table() *registry.Table[*corev1.Node] {
	return &registry.Table[*corev1.Node]{
		Columns: []metav1.TableColumnDefinition{
			registry.NameColumn(), registry.Column("Status"), registry.Column("Roles"), registry.Column("Age"), registry.Column("Version"),
			registry.Wide(registry.Column("Internal-IP")), registry.Wide(registry.Column("External-IP")), registry.Wide(registry.Column("OS-Image")),
			registry.Wide(registry.Column("Kernel-Version")), registry.Wide(registry.Column("Container-Runtime")),
		},
		Cells: func(n *corev1.Node, now time.Time) []any {
			info := n.Status.NodeInfo
			return []any{n.Name, status(n), roles(n), registry.Age(n.CreationTimestamp, now), info.KubeletVersion,
				address(n, corev1.NodeInternalIP), address(n, corev1.NodeExternalIP),
				known(info.OSImage), kernel(&info), known(info.ContainerRuntimeVersion)}
		},
	}
}

func status(n *corev1.Node) string {
	status := "Unknown"
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			status = "NotReady"
			if c.Status == corev1.ConditionTrue {
				status = "Ready"
			}
		}
	}
	if n.Spec.Unschedulable {
		status += ",SchedulingDisabled"
	}
	return status
}

// roles returns the parts of labels after node-role.kubernetes.io/, and the
// value of kubernetes.io/role.
func roles(n *corev1.Node) string {
	var roles []string
	for label, value := range n.Labels {
		role, ok := strings.CutPrefix(label, "node-role.kubernetes.io/")
		if label == "kubernetes.io/role" {
			role, ok = value, true
		}
		if ok && role != "" {
			roles = append(roles, role)
		}
	}
	if len(roles) == 0 {
		return registry.None
	}
	slices.Sort(roles)
	return strings.Join(slices.Compact(roles), ",")
}

func address(n *corev1.Node, t corev1.NodeAddressType) string {
	for _, a := range n.Status.Addresses {
		if a.Type == t {
			return a.Address
		}
	}
	return registry.None
}

// kernel returns the version of the kernel, with the architecture that it runs on.
func kernel(i *corev1.NodeSystemInfo) string {
	if i.Architecture == "" {
		return known(i.KernelVersion)
	}
	return known(i.KernelVersion) + " (" + i.Architecture + ")"
}

func known(s string) string {
	if s == "" {
		return "<unknown>"
	}
	return s
}
