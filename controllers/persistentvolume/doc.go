// Package persistentvolume binds claims to volumes and decides what becomes of
// volumes whose claim is gone:
// https://kubernetes.io/docs/concepts/storage/persistent-volumes/.
//
// It wakes on claims, volumes and storage classes. A request with a namespace
// is a claim, one without is a volume.
//
// Invariants:
//
//  1. A binding is written in this order, so that a crash leaves nothing that
//     cannot be gone on with: the volume's claimRef, the volume's phase, the
//     claim's volumeName, the claim's status. Two claims never get one volume:
//     the claimRef is written against the version of the volume that was free.
//  2. A volume is given up only when its claim is not in storage either, not
//     when a cache has not seen it.
//  3. Nothing is provisioned or deleted here: that is for the provisioner that
//     the claim's class, or the volume's annotation, names. A volume that no
//     provisioner made and that is to be deleted becomes Failed.
//  4. A volume that is to be recycled, hostPath or NFS, is given back when a pod
//     has emptied it; of other kinds it becomes Failed.
//
// The API of this package is not stable: see docs/api.md.
package persistentvolume
