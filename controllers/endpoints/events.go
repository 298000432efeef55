package endpoints

// Events on Endpoints, in upstream's words.
const (
	reasonCreateFailed  = "FailedToCreateEndpoint"
	messageCreateFailed = "Failed to create endpoint for service %v/%v: %v"
	reasonUpdateFailed  = "FailedToUpdateEndpoint"
	messageUpdateFailed = "Failed to update endpoint %v/%v: %v"
)
