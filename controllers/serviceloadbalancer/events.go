package serviceloadbalancer

// Reasons and messages of the events on Services, as upstream words them.
const (
	reasonEnsuring     = "EnsuringLoadBalancer"
	reasonEnsured      = "EnsuredLoadBalancer"
	reasonUpdated      = "UpdatedLoadBalancer"
	reasonDeleting     = "DeletingLoadBalancer"
	reasonDeleted      = "DeletedLoadBalancer"
	reasonUnavailable  = "UnAvailableLoadBalancer"
	reasonSyncFailed   = "SyncLoadBalancerFailed"
	reasonUpdateFailed = "UpdateLoadBalancerFailed"
	reasonDeleteFailed = "DeleteLoadBalancerFailed"

	messageEnsuring    = "Ensuring load balancer"
	messageEnsured     = "Ensured load balancer"
	messageUpdated     = "Updated load balancer with new hosts"
	messageDeleting    = "Deleting load balancer"
	messageDeleted     = "Deleted load balancer"
	messageUnavailable = "There are no available nodes for LoadBalancer"
)
