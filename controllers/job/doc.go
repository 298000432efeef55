// Package job runs pods until enough of them succeed, by batch/v1 Job.
//
// It promises:
//
//  1. Every pod of a Job that ends is counted exactly once, whenever the
//     controller or the pod goes away. Pods carry the finalizer
//     batch.kubernetes.io/job-tracking. A pod that ended is first noted in the
//     status (its UID among the uncounted, its index among the completed), then
//     loses the finalizer, and only then moves from the uncounted to the
//     counters. At every step of that the status alone shows what is left to do.
//  2. A reconcile works on a view that shows its own writes: the status it
//     wrote last and the finalizers it removed. Pods are created and deleted
//     only if the view shows all that were before.
//  3. A Job ends in two steps: the reason is recorded (FailureTarget or
//     SuccessCriteriaMet) before the last pods are let go, and the end
//     (Failed or Complete) when none of them is left, running or uncounted.
//  4. Reconciling a Job with n pods takes O(n log n), and the events of its pods
//     start one at most every podEventInterval: their number does not multiply
//     with that of the completions.
//
// plan.go decides which pods to create and delete, tracking.go what to count;
// both are pure. What they decide by is in view.go, policy.go (failure and
// success policies), backoff.go and indexes.go.
//
// The API of this package is not stable: see docs/api.md.
package job
