// Package volumes makes the volumes of pods exist on a node and keeps their contents current.
//
// It supports emptyDir, hostPath, configMap, secret, downwardAPI, projected (configMap, secret,
// downwardAPI, serviceAccountToken, clusterTrustBundle, podCertificate), and claims (also ephemeral
// ones) bound to hostPath and local persistent volumes. The runtime makes images as volumes.
//
// # Layout
//
//	RootDir/pods/<uid>/volumes/kubernetes.io~<plugin>/<volume>   as the kubelet's
//	RootDir/pods/<uid>/volume-subpaths/<container>/<index>       bind mounts of subPaths
//
// # Invariants
//
//  1. What is on disk is the only memory: after a restart Mount adopts what it
//     finds, and Unmount needs nothing but the pod's UID.
//  2. A reader of a configMap, secret, downwardAPI or projected volume sees all of
//     the old content or all of the new: files are symlinks through ..data, which
//     is replaced by one rename.
//  3. Secrets and tokens live in tmpfs only.
//  4. Nothing is removed recursively while anything is mounted below it.
//  5. A container may put any path inside a volume: the kernel resolves such paths
//     so that no symlink leads out of the volume.
//
// The API of this package is not stable: see docs/api.md.
package volumes
