// Package deployment rolls the pods of a Deployment from one template to the
// next by scaling ReplicaSets, one per template.
//
// It promises:
//
//  1. One reconcile makes one Plan, a pure function of the Deployment, its
//     ReplicaSets and the time, and carries it out: replaying it on the same
//     view changes nothing more.
//  2. The name of a template's ReplicaSet follows from the template and the
//     collision count, so a ReplicaSet is never created twice.
//  3. A plan is made only once the cache shows the ReplicaSets as this
//     controller last scaled them; two steps of a rollout never overlap.
//  4. During a rolling update there are never more than replicas + maxSurge pods
//     asked for, nor fewer than replicas - maxUnavailable available ones taken
//     away from.
//  5. Recreate starts no pod of the new template while one of an old still runs
//     or terminates.
//  6. Only ReplicaSets that the Deployment owns by controller reference are
//     touched; matching orphans are adopted after asking the server that the
//     Deployment still lives under its UID.
//  7. Conditions, reasons, messages, annotations and events are upstream's
//     (https://kubernetes.io/docs/concepts/workloads/controllers/deployment/):
//     kubectl rollout reads them.
//
// The API of this package is not stable: see docs/api.md.
package deployment
