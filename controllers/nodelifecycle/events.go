package nodelifecycle

// Reasons and messages of events and conditions, in upstream's words.
const (
	reasonRegistered = "RegisteredNode"
	reasonRemoving   = "RemovingNode"
	reasonNotReady   = "NodeNotReady"

	messageRegistered  = "Node %[1]s event: Registered Node %[1]s in Controller"
	messageRemoving    = "Node %[1]s event: Removing Node %[1]s from Controller"
	messageNodeStatus  = "Node %s status is now: %s"
	messagePodNotReady = "Node is not ready"

	reasonNeverUpdated  = "NodeStatusNeverUpdated"
	messageNeverUpdated = "Kubelet never posted node status."
	reasonUnknown       = "NodeStatusUnknown"
	messageUnknown      = "Kubelet stopped posting node status."
)
