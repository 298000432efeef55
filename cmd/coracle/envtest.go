package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"sigs.k8s.io/yaml"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
)

// assets are the names under which envtest looks for its programs; this binary
// is each of them when it is called by that name.
var assets = [...]string{"kube-apiserver", "etcd", "kubectl"}

func envtestAssetsCommand() *cobra.Command {
	var controllers []string
	cmd := &cobra.Command{
		Use:   "envtest-assets DIR",
		Short: "Fill a directory for controller-runtime's envtest",
		Long: `Put this binary into DIR under the names kube-apiserver, etcd and kubectl, which
is what controller-runtime's envtest starts:

  coracle envtest-assets build/assets
  KUBEBUILDER_ASSETS=$PWD/build/assets go test ./...

What runs then is what upstream's kube-apiserver runs: no controllers and no
scheduler, for suites that play these themselves. With controllers, namespaces
go away, what is owned by a deleted object is collected, Deployments get their
pods and the scheduler binds these:

  coracle envtest-assets --controllers '*' build/assets

Names and syntax are those of kube-controller-manager's --controllers. One suite
can ask for them in its code, and for simulated nodes on which pods run:

  env.ControlPlane.GetAPIServer().Configure().
      Append("controllers", "*").Append("simulated-nodes", "1")`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := fillAssets(args[0], controllers); err != nil {
				return err
			}
			dir, err := filepath.Abs(args[0])
			if err != nil {
				return fmt.Errorf("finding %s: %w", args[0], err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "export KUBEBUILDER_ASSETS=%s\n", dir)
			return nil
		},
	}
	cmd.Flags().StringSliceVar(&controllers, "controllers", nil, "controllers that run besides the API server: '*' is all that are not named, -name is off")
	return cmd
}

func fillAssets(dir string, controllers []string) error {
	config, err := assetsConfiguration(controllers)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this binary: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("making the directory: %w", err)
	}
	for _, name := range assets {
		path := filepath.Join(dir, name)
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("replacing %s: %w", path, err)
		}
		if os.Link(self, path) == nil {
			continue
		}
		if err := copyProgram(self, path); err != nil {
			return err
		}
	}
	return writeAssetsConfig(filepath.Join(dir, assetsConfig), config)
}

// assetsConfiguration returns the file that turns controllers on, nil for none.
func assetsConfiguration(controllers []string) ([]byte, error) {
	if len(controllers) == 0 {
		return nil, nil
	}
	config := &v1alpha1.Cluster{APIVersion: v1alpha1.APIVersion, Kind: v1alpha1.Kind, Controllers: v1alpha1.Controllers{Enabled: controllers}}
	checked := config.DeepCopy()
	checked.Default()
	if errs := checked.Validate(); len(errs) > 0 {
		return nil, fmt.Errorf("reading --controllers: %w", errs.ToAggregate())
	}
	return yaml.Marshal(map[string]any{"apiVersion": config.APIVersion, "kind": config.Kind, "controllers": map[string]any{"enabled": controllers}})
}

// writeAssetsConfig writes the file, or removes what an earlier call left.
func writeAssetsConfig(file string, config []byte) error {
	if config == nil {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing the configuration of controllers: %w", err)
		}
		return nil
	}
	if err := os.WriteFile(file, config, 0o644); err != nil {
		return fmt.Errorf("writing the configuration of controllers: %w", err)
	}
	return nil
}

// copyProgram copies to another file system, which cannot be linked to.
func copyProgram(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("copying this binary: %w", err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		return fmt.Errorf("copying this binary: %w", err)
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		os.Remove(to)
		return fmt.Errorf("copying this binary to %s: %w", to, err)
	}
	return out.Close()
}

// etcd runs the stock program. A member alone needs not wait the second for
// others that elections allow for by default.
func etcd(args []string) {
	for _, quick := range []string{"--heartbeat-interval=10", "--election-timeout=50"} {
		name, _, _ := strings.Cut(strings.TrimLeft(quick, "-"), "=")
		given := func(a string) bool { return strings.HasPrefix(strings.TrimLeft(a, "-"), name) }
		if len(args) > 1 && !slices.ContainsFunc(args, given) && !slices.ContainsFunc(args, clustered) {
			args = append(args, quick)
		}
	}
	etcdmain.Main(args)
}

// clustered reports that an argument makes etcd do something else than run a
// member alone.
func clustered(a string) bool {
	a = strings.TrimLeft(a, "-")
	for _, prefix := range []string{"initial-cluster", "discovery", "config-file", "gateway", "grpc-proxy", "help", "version"} {
		if strings.HasPrefix(a, prefix) {
			return true
		}
	}
	return a == "h"
}
