package daemonset

// Reasons and words of the events, as upstream's.
const (
	reasonSelectingAll = "SelectingAll"
	reasonFailed       = "FailedDaemonPod"
	reasonSucceeded    = "SucceededDaemonPod"

	selectingAllMessage = "This daemon set is selecting all pods. A non-empty selector is required."
)
