package nodeagent

import "github.com/coracle-k8s/coracle/nodeagent/runtime"

// NewWithRuntime is New with a runtime that is connected already, which stays
// open when Start returns; config.RuntimeEndpoint is only shown.
func NewWithRuntime(config Config, service runtime.Service) (*Agent, error) {
	config, err := config.complete()
	if err != nil {
		return nil, err
	}
	return newAgent(config, service, func() error { return nil })
}
