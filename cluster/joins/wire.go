package joins

// Path issues an agent's certificates, for a join token, or for those that it has.
const Path = "/coracle/v1/join"

// APIClients may use the agents' own API.
const APIClients = "coracle:agent-clients"

// NodeUser begins the user names of nodes.
const NodeUser = "system:node:"

// WireRequest holds what an agent sends: two certificate requests.
type WireRequest struct {
	// Node is the node's name and Address its IP address.
	Node    string `json:"node"`
	Address string `json:"address"`
	// ClientCSR and ServerCSR are PEM certificate requests; only their keys are used.
	ClientCSR string `json:"clientCSR"`
	ServerCSR string `json:"serverCSR"`
}

// WireResponse has PEM certificates and what the agent has to know of the network.
type WireResponse struct {
	CA         string `json:"ca"`
	ClientCert string `json:"clientCert"`
	ServerCert string `json:"serverCert"`
	// Network of the cluster, and the range of the node's pods.
	ServiceCIDR   string   `json:"serviceCIDR"`
	PodCIDR       string   `json:"podCIDR"`
	NodePodCIDR   string   `json:"nodePodCIDR"`
	ClusterDomain string   `json:"clusterDomain"`
	ClusterDNS    []string `json:"clusterDNS"`
}
