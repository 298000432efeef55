// Package nodeagent runs the pods of one node: what the kubelet does, driven by
// events and not by polls.
//
// # How it is made
//
//   - package nodeagent: the agent itself. One worker goroutine per pod takes
//     events (the pod changed, a container ended, a probe decided, a timer rang),
//     observes, asks the planner and applies the plan.
//   - pods: the planner. Pure: (pod, observed runtime, probe results, now) in,
//     actions and status out.
//   - podconfig: pure translation of a pod into CRI sandbox and container configs.
//   - runtime: the CRI client with its event stream; runtime/fake a semantic fake;
//     runtime/containerd a supervised containerd of the node's own.
//   - images: import, pull with backoff, garbage collection.
//   - probes, logs, cgroups, nodestatus, server: by their names.
//   - simulated: thousands of nodes whose pods run without containers.
//   - admission: whether the node takes a pod, and the ledger of what pods hold.
//   - allocation: what pods were granted, on disk for the next agent.
//   - containers: creates and starts containers. podstatus: writes the status of a pod.
//     garbage: rotates logs and removes images.
//   - host: the interfaces by which the agent reaches into the machine, which volumes, env
//     and network implement.
//
// # Invariants
//
//  1. A container is started only if no container of that name is running in the
//     pod's current sandbox.
//  2. The agent's end never ends a container: a later agent adopts what runs, by
//     the labels on sandboxes and containers.
//  3. A pod object is removed from the API only after its last container, its
//     sandbox and its volumes are gone.
//  4. A terminal phase (Succeeded, Failed) is never left.
//  5. What a pod was granted outlives the agent, and is held before any new pod is admitted.
//  6. What cannot be honoured (a runtime handler, a device, a profile) is refused.
//  7. Nothing is polled: beside events there are timers for probes, backoffs,
//     graces and leases, and a slow safety relist.
//
// The API of this package is not stable: see docs/api.md.
package nodeagent
