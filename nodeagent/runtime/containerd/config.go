package containerd

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"text/template"
)

// Config describes one containerd. Fields without a default are required.
type Config struct {
	// BinDir has containerd, containerd-shim-runc-v2 and runc.
	BinDir string
	// Dir holds root/, state/, containerd.sock, config.toml, containerd.pid and
	// containerd.log. Short paths: a socket's is limited to 107 bytes.
	Dir string
	// StateDir is for sockets and mounts that need not outlive a reboot.
	// Default: Dir/state.
	StateDir string
	// SandboxImage is the full name of the image of sandboxes, such as
	// coracle.dev/pause:1.
	SandboxImage string
	// CNIConfDir and CNIBinDir have the configuration of network plugins and their programs.
	// Defaults: Dir/cni/net.d and BinDir.
	CNIConfDir, CNIBinDir string
	// Netns is the path of a network namespace to run in; empty is this process's own.
	Netns string
	// Snapshotter is overlayfs by default.
	Snapshotter string
	// RegistryConfigDir holds hosts.toml files by registry. Default: Dir/certs.d.
	RegistryConfigDir string
	// RestrictOOMScore must be set where CAP_SYS_RESOURCE is missing. Default
	// (nil): found out.
	RestrictOOMScore *bool
	// StartTimeout bounds the wait for containerd to answer. Default: 30 s.
	StartTimeoutSeconds int
}

func (c Config) complete() (Config, error) {
	if c.BinDir == "" || c.Dir == "" || c.SandboxImage == "" {
		return c, errors.New("containerd.Config: BinDir, Dir and SandboxImage are required")
	}
	set := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	set(&c.StateDir, filepath.Join(c.Dir, "state"))
	set(&c.CNIConfDir, filepath.Join(c.Dir, "cni", "net.d"))
	set(&c.CNIBinDir, c.BinDir)
	set(&c.Snapshotter, "overlayfs")
	set(&c.RegistryConfigDir, filepath.Join(c.Dir, "certs.d"))
	if c.StartTimeoutSeconds == 0 {
		c.StartTimeoutSeconds = 30
	}
	if len(c.socket()) > 107 {
		return c, fmt.Errorf("containerd.Config: socket path %s is longer than 107 bytes", c.socket())
	}
	return c, nil
}

func (c *Config) socket() string     { return filepath.Join(c.Dir, "containerd.sock") }
func (c *Config) pidFile() string    { return filepath.Join(c.Dir, "containerd.pid") }
func (c *Config) logFile() string    { return filepath.Join(c.Dir, "containerd.log") }
func (c *Config) configFile() string { return filepath.Join(c.Dir, "config.toml") }

// configText renders config.toml (version 3, see
// https://github.com/containerd/containerd/blob/main/docs/cri/config.md).
// Plugins that the node does not use are off: each costs start time and memory.
func (c *Config) configText(restrictOOM bool) (string, error) {
	t, err := template.New("config.toml").Parse(configTemplate)
	if err != nil {
		return "", fmt.Errorf("parsing containerd config template: %w", err)
	}
	var out strings.Builder
	err = t.Execute(&out, struct {
		*Config
		Socket      string
		RestrictOOM bool
		Disabled    []string
	}{c, c.socket(), restrictOOM, disabledPlugins(c.Snapshotter)})
	if err != nil {
		return "", fmt.Errorf("rendering containerd config: %w", err)
	}
	return out.String(), nil
}

func disabledPlugins(snapshotter string) []string {
	out := []string{
		"io.containerd.nri.v1.nri", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing",
		"io.containerd.internal.v1.opt", "io.containerd.image-verifier.v1.bindir",
		"io.containerd.differ.v1.erofs", "io.containerd.mount-handler.v1.erofs", "io.containerd.cri.v1.nri",
	}
	for _, s := range []string{"native", "overlayfs", "btrfs", "zfs", "devmapper", "blockfile", "erofs"} {
		if s != snapshotter {
			out = append(out, "io.containerd.snapshotter.v1."+s)
		}
	}
	return out
}

const configTemplate = `# Written by coracle at every start.
version = 3
root = '{{.Dir}}/root'
state = '{{.StateDir}}'
disabled_plugins = [{{range $i, $p := .Disabled}}{{if $i}}, {{end}}'{{$p}}'{{end}}]

[grpc]
  address = '{{.Socket}}'

[ttrpc]
  address = '{{.Socket}}.ttrpc'

[debug]
  level = 'warn'

[plugins.'io.containerd.cri.v1.images']
  snapshotter = '{{.Snapshotter}}'
  stats_collect_period = 60

[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = '{{.SandboxImage}}'

[plugins.'io.containerd.cri.v1.images'.registry]
  config_path = '{{.RegistryConfigDir}}'

[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = {{.RestrictOOM}}
  netns_mounts_under_state_dir = true
  enable_unprivileged_ports = true
  enable_unprivileged_icmp = true
  tolerate_missing_hugetlb_controller = true
  stats_collect_period = '10s'
  max_container_log_line_size = 16384

[plugins.'io.containerd.cri.v1.runtime'.containerd]
  default_runtime_name = 'runc'

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = 'io.containerd.runc.v2'
  runtime_path = '{{.BinDir}}/containerd-shim-runc-v2'

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  BinaryName = '{{.BinDir}}/runc'
  SystemdCgroup = false

[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ['{{.CNIBinDir}}']
  conf_dir = '{{.CNIConfDir}}'
  max_conf_num = 1
  use_internal_loopback = true

[plugins.'io.containerd.grpc.v1.cri']
  stream_server_address = '127.0.0.1'
  stream_server_port = '0'
  stream_idle_timeout = '4h0m0s'
  disable_tcp_service = false
`
