// Package daemonset keeps one pod on every node that fits.
//
// It promises:
//
//  1. A node gets a pod when the template's node name, selector and affinity match
//     it and the pod tolerates its NoSchedule and NoExecute taints; the pods
//     get the standard tolerations for node conditions. A pod that is there stays
//     for as long as it tolerates the node's NoExecute taints.
//  2. The scheduler binds the pods: each has a required node affinity to its node.
//  3. There is one pod per node; with maxSurge an old and a new one side by side
//     while the new one is not available.
//  4. An update makes no more than maxUnavailable nodes lack an available pod, or
//     starts no more than maxSurge pods beside available ones.
//  5. A pod that failed is deleted, later with each failure.
//  6. What a reconcile does is a pure function (plan) of the set, nodes, pods
//     and time, and is done only once the cache shows all earlier creations and
//     deletions. Pod events are paced by the number of nodes, so that a rollout to
//     thousands of nodes costs few looks at all of them.
//  7. A template is a ControllerRevision (package history); pods have its hash.
//
// https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/
//
// The API of this package is not stable: see docs/api.md.
package daemonset
