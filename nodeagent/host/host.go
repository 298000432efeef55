// Package host has the interfaces by which the agent reaches into the machine, and what goes
// through them.
//
// The API of this package is not stable: see docs/api.md.
package host

import (
	"context"
	"net"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Volume describes a pod's volume on the host.
type Volume struct {
	// Path is the absolute path of the directory or file to bind into containers,
	// or of the device when Block is set.
	Path string
	// ReadOnly forces read-only mounts whatever the container asks, as Kubernetes
	// does for configMap, secret, downwardAPI and projected volumes.
	ReadOnly bool
	// Block marks a raw block volume, used by volumeDevices and not volumeMounts.
	Block bool
	// SupplementalGroups are added to the pod's groups (a PersistentVolume's
	// pv.beta.kubernetes.io/gid annotation).
	SupplementalGroups []int64
}

// Volumes makes the volumes of pods exist on the host. It is implemented by
// nodeagent/volumes. All methods may be called concurrently for different pods,
// never for one pod at a time.
type Volumes interface {
	// Mount makes every volume of the pod's spec available, fsGroup applied, and
	// returns them by volume name. It is idempotent: it is called before the
	// first container of a pod starts, again after every failure (with backoff)
	// and once when a restarted agent adopts a running pod. From the first success
	// until Unmount the implementation keeps configMap, secret, projected and
	// downwardAPI contents current on its own. The pod passed in carries the
	// newest spec, metadata and status.podIPs known; it is shared and must
	// not be changed.
	Mount(ctx context.Context, pod *corev1.Pod) (map[string]Volume, error)

	// Update passes on a newer version of a pod that is mounted (its labels and
	// annotations may be in downwardAPI files). It must not block.
	Update(pod *corev1.Pod)

	// SubPath returns the host path to bind for a volumeMount that has a subPath
	// (subPathExpr is expanded by then), created as a directory if nothing is
	// there, and safe from symlinks that lead out of the volume. mountIndex is the
	// mount's index in the container; what SubPath makes lives until Unmount.
	SubPath(ctx context.Context, pod *corev1.Pod, container string, mountIndex int, volume Volume, subPath string) (string, error)

	// Unmount undoes Mount after the pod's last container is gone and removes
	// RootDir/pods/<uid>/volumes and its kin. It is idempotent, needs no pod object
	// (the pod may be known only from disk) and returns an error to be called again.
	Unmount(ctx context.Context, uid types.UID) error

	// Mounted lists the pods that have anything on the host, for cleaning after a restart.
	Mounted() ([]types.UID, error)

	// OnRetry registers the one function to call when something that a failed
	// Mount of the pod waited for may have appeared (a ConfigMap was created).
	// It is called before the agent starts; fn does not block.
	OnRetry(fn func(pod types.UID))
}

// EnvVar is one resolved environment variable.
type EnvVar struct {
	Name, Value string
}

// Env resolves the environment of containers. It is implemented by nodeagent/env.
type Env interface {
	// Environment returns the container's variables in the order they are to be
	// set: service links, envFrom, then env with $(VAR) references expanded; later
	// ones override earlier ones. The pod has status.podIPs and status.hostIPs
	// set. An error shows as the waiting reason CreateContainerConfigError with
	// the error's text as message (for instance: configmap "x" not found).
	Environment(ctx context.Context, pod *corev1.Pod, container *corev1.Container) ([]EnvVar, error)
}

// Network prepares the node's pod network. It is implemented by nodeagent/network.
type Network interface {
	// Configure makes the node ready for sandboxes with addresses from podCIDRs
	// (writes the CNI configuration). It is called when the CIDRs become known and
	// when they change; it is idempotent.
	Configure(ctx context.Context, podCIDRs []string) error
}

// DialFunc opens a connection the way the node itself would, which matters for
// probes and hooks of nodes that live in a network namespace of their own.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)
