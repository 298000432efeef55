// Package attachdetach asks CSI drivers, by VolumeAttachments, to attach volumes
// to the nodes that pods need them on and to detach them when they do not:
// https://kubernetes.io/docs/concepts/storage/volumes/#csi.
//
// It wakes on pods that use claims, on claims and volumes that get bound, on
// VolumeAttachments, on CSIDrivers, and on nodes' status of their volumes. A
// request is a node.
//
// Invariants:
//
//  1. A volume that one node at a time may use is attached to one: a second
//     VolumeAttachment is made only when the API server, not a cache, has none
//     any more. There is one worker, so that no two nodes ask at once.
//  2. A volume is detached only when no pod of the node uses it and the node
//     does not report it in use; but after 6 minutes if the node is not ready,
//     and at once if it has the taint node.kubernetes.io/out-of-service.
//  3. status.volumesAttached of a node loses a volume before its
//     VolumeAttachment goes.
//  4. VolumeAttachments of other makers, by their names, are left alone.
//
// The API of this package is not stable: see docs/api.md.
package attachdetach
