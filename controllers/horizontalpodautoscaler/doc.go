// Package horizontalpodautoscaler sets the scale of whatever has a scale
// subresource by metrics of its pods, of other objects, or from elsewhere.
//
// It promises:
//
//  1. Every period it reads the metrics, and what follows from them is a pure
//     function (plan) of the autoscaler, the scale, the pods, the readings and
//     what was recommended and done before.
//  2. The metric that asks for the most replicas decides. When some metrics cannot
//     be read, the others may scale up but not down.
//  3. Pods that are not ready, or have no metrics, never make it scale further
//     than it would if they were idle on the way up, busy on the way down.
//  4. Behaviours bound how fast it scales, and stabilisation windows make it take
//     the most careful of recent recommendations.
//  5. Conditions, their reasons and messages, and events are upstream's.
//
// Metrics come from the metrics APIs (metrics.k8s.io, custom.metrics.k8s.io,
// external.metrics.k8s.io), which others serve.
//
// https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/
//
// The API of this package is not stable: see docs/api.md.
package horizontalpodautoscaler
