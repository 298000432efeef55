package tainteviction

// Events and the condition, in upstream's words.
const (
	reasonEviction  = "TaintManagerEviction"
	messageDelete   = "Marking for deletion Pod %s"
	messageCancel   = "Cancelling deletion of Pod %s"
	reasonCondition = "DeletionByTaintManager"
	// messageCondition is of the pod condition DisruptionTarget.
	messageCondition = "Taint manager: deleting due to NoExecute taint"
)
