package deployment

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
)

// Reasons and words of the events, as upstream's.
const (
	reasonScaling       = "ScalingReplicaSet"
	reasonSelectingAll  = "SelectingAll"
	selectingAllMessage = "This deployment is selecting all pods. A non-empty selector is required."
)

func scaledMessage(set *appsv1.ReplicaSet, from, to int32) string {
	direction := "up"
	if to < from {
		direction = "down"
	}
	return fmt.Sprintf("Scaled %s replica set %s from %d to %d", direction, set.Name, from, to)
}

func createFailedMessage(set string, err error) string {
	return fmt.Sprintf("Failed to create new replica set %q: %v", set, err)
}
