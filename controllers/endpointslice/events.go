package endpointslice

// Reasons of the events on Services, as upstream words them. Those of the
// topology cache come from k8s.io/endpointslice.
const (
	reasonHintsDisabled = "TopologyAwareHintsDisabled"
	reasonUpdateFailed  = "FailedToUpdateEndpointSlices"

	messageUpdateFailed = "Error updating Endpoint Slices for Service %s/%s: %v"
)
