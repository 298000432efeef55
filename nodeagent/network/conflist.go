package network

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
)

// conflist is a CNI network configuration.
//
// Format: https://www.cni.dev/docs/spec/#section-1-network-configuration-format
type conflist struct {
	CNIVersion string   `json:"cniVersion"`
	Name       string   `json:"name"`
	Plugins    []plugin `json:"plugins"`
}

// plugin holds the fields of the plugins used: bridge and portmap.
type plugin struct {
	Type          string          `json:"type"`
	Bridge        string          `json:"bridge,omitempty"`
	IsGateway     bool            `json:"isGateway,omitempty"`
	ForceAddress  bool            `json:"forceAddress,omitempty"`
	PortIsolation bool            `json:"portIsolation,omitempty"`
	HairpinMode   bool            `json:"hairpinMode,omitempty"`
	MTU           int             `json:"mtu,omitempty"`
	IPAM          *ipam           `json:"ipam,omitempty"`
	SNAT          bool            `json:"snat,omitempty"`
	Backend       string          `json:"backend,omitempty"`
	Capabilities  map[string]bool `json:"capabilities,omitempty"`
}

type ipam struct {
	Type    string                `json:"type"`
	Ranges  [][]map[string]string `json:"ranges"`
	Routes  []map[string]string   `json:"routes"`
	DataDir string                `json:"dataDir"`
}

// render makes the node's configuration for its pods' range.
func (p *parsed) render(pods netip.Prefix, isolated, hostPorts bool) ([]byte, error) {
	list := conflist{CNIVersion: "1.0.0", Name: "coracle-" + p.Prefix, Plugins: []plugin{{
		Type: "bridge", Bridge: p.podBridge(p.NodeIndex), IsGateway: true, ForceAddress: true, MTU: p.MTU,
		PortIsolation: isolated, HairpinMode: !isolated,
		IPAM: &ipam{Type: "host-local", DataDir: p.DataDir,
			Ranges: [][]map[string]string{{{"subnet": pods.String()}}},
			Routes: []map[string]string{{"dst": "0.0.0.0/0"}}},
	}}}
	if hostPorts {
		list.Plugins = append(list.Plugins, plugin{Type: "portmap", SNAT: true, Backend: "nftables",
			Capabilities: map[string]bool{"portMappings": true}})
	}
	text, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("rendering the CNI configuration: %w", err)
	}
	return append(text, '\n'), nil
}

const conflistName = "10-coracle.conflist"

// writeConflist writes by rename, as runtimes watch the directory, and not at
// all if nothing changed.
func writeConflist(dir string, content []byte) error {
	path := filepath.Join(dir, conflistName)
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, content) {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("writing the CNI configuration: %w", err)
	}
	tmp := filepath.Join(dir, "."+conflistName)
	if err := os.WriteFile(tmp, content, 0o644); err != nil {
		return fmt.Errorf("writing the CNI configuration: %w", err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("writing the CNI configuration: %w", err)
	}
	return nil
}
