package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
)

// apiserverFlags are those of upstream's kube-apiserver that mean something
// here: https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/.
type apiserverFlags struct {
	certDir, bindAddress, etcdPrefix string
	port                             int
	scheduler                        bool
}

// unused are upstream's flags that are taken and change nothing: what they
// would turn on is on, or does not exist here.
var unused = [...]string{"allow-privileged", "advertise-address", "apiserver-count", "authorization-mode", "contention-profiling", "default-watch-cache-size",
	"enable-aggregator-routing", "enable-bootstrap-token-auth", "enable-garbage-collector", "enable-priority-and-fairness", "endpoint-reconciler-type",
	"event-ttl", "external-hostname", "insecure-port", "insecure-bind-address", "kubelet-preferred-address-types", "logging-format",
	"min-request-timeout", "permit-port-sharing", "service-account-lookup", "service-account-max-token-expiration",
	"shutdown-delay-duration", "storage-backend", "storage-media-type", "token-auth-file", "v", "vmodule", "watch-cache", "watch-cache-sizes"}

// kubeAPIServerCommand is for the arguments that follow: a configuration file
// among them gives the flags their defaults.
func kubeAPIServerCommand(args []string) (*cobra.Command, error) {
	config, err := apiserverConfig(valueOf(args, "--config"))
	if err != nil {
		return nil, err
	}
	f := &apiserverFlags{}
	cmd := &cobra.Command{
		Use:   "kube-apiserver",
		Short: "Coracle's API server under the flags of upstream's kube-apiserver",
		Long: `Coracle's control plane under the name and flags that controller-runtime's
envtest uses. As with upstream's kube-apiserver no controllers and no scheduler
run, unless --controllers or the configuration file asks for them. Flags of
upstream that mean nothing here are taken and ignored.`,
		Args: cobra.NoArgs, SilenceUsage: true, SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.complete(config); err != nil {
				return err
			}
			if cmd.Flags().Changed("scheduler") {
				config.Scheduler.Enabled = &f.scheduler
			} else if cmd.Flags().Changed("controllers") {
				config.Scheduler.Enabled = new(config.Controllers.Any())
			}
			return up(cmd.Context(), config, cmd.ErrOrStderr())
		},
	}
	f.add(cmd, config)
	cmd.SetArgs(args)
	return cmd, nil
}

// assetsConfig is the configuration file that envtest-assets puts beside the
// programs, if it is asked for more than upstream's kube-apiserver runs.
const assetsConfig = "coracle.yaml"

// apiserverConfig reads the configuration file, or else the one beside this
// program. What neither turns on of controllers and scheduler is off.
func apiserverConfig(file string) (*v1alpha1.Cluster, error) {
	config := &v1alpha1.Cluster{}
	if file == "" {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("finding this program's directory: %w", err)
		}
		beside := filepath.Join(filepath.Dir(self), assetsConfig)
		if _, err := os.Stat(beside); err == nil {
			file = beside
		}
	}
	if file != "" {
		var err error
		if config, err = v1alpha1.Load(file); err != nil {
			return nil, err
		}
	}
	if config.Controllers.Enabled == nil {
		config.Controllers.Enabled = []string{}
	}
	if config.Scheduler.Enabled == nil {
		config.Scheduler.Enabled = new(config.Controllers.Any())
	}
	config.Default()
	return config, nil
}

// valueOf is the value of a flag, "" if it is not given.
func valueOf(args []string, flag string) string {
	for i, a := range args {
		if value, ok := strings.CutPrefix(a, flag+"="); ok {
			return value
		}
		if a == flag && i+1 < len(args) {
			return args[i+1]
		}
	}
	return ""
}

func (f *apiserverFlags) add(cmd *cobra.Command, c *v1alpha1.Cluster) {
	flags, s := cmd.Flags(), &c.APIServer
	flags.String("config", "", "configuration file of Coracle; flags are set over it")
	flags.StringSliceVar(&c.Controllers.Enabled, "controllers", c.Controllers.Enabled, "controllers that run, as kube-controller-manager's --controllers: '*' is all that are not named, -name is off")
	flags.BoolVar(&f.scheduler, "scheduler", false, "run the scheduler (default: if any controller runs)")
	flags.Int32Var(&c.SimulatedNodes, "simulated-nodes", c.SimulatedNodes, "nodes whose pods run without containers")
	flags.StringVar(&f.certDir, "cert-dir", "/var/run/kubernetes", "directory of apiserver.crt and apiserver.key, in which everything else is kept, too")
	flags.StringVar(&f.bindAddress, "bind-address", "0.0.0.0", "address to listen on")
	flags.IntVar(&f.port, "secure-port", 6443, "port to listen on")
	flags.StringVar(&f.etcdPrefix, "etcd-prefix", "/registry", "prefix of everything in etcd; only /registry")
	flags.DurationVar(&s.RequestTimeout.Duration, "request-timeout", s.RequestTimeout.Duration, "how long a request may take")

	flags.StringVar(&s.Certificate.CertFile, "tls-cert-file", "", "certificate of the server (default apiserver.crt in --cert-dir)")
	flags.StringVar(&s.Certificate.KeyFile, "tls-private-key-file", "", "its key (default apiserver.key in --cert-dir)")
	flags.StringVar(&s.Authentication.ClientCAFile, "client-ca-file", "", "authorities of client certificates")
	flags.StringVar(&s.ServiceAccounts.Issuer, "service-account-issuer", "", "issuer of service account tokens")
	flags.StringSliceVar(&s.ServiceAccounts.KeyFiles, "service-account-key-file", nil, "keys that check service account tokens")
	flags.StringVar(&s.ServiceAccounts.SigningKeyFile, "service-account-signing-key-file", "", "key that signs service account tokens")
	flags.StringSliceVar(&s.ServiceAccounts.Audiences, "api-audiences", nil, "audiences of tokens that name none (default the issuer)")
	flags.StringVar(&c.Network.ServiceCIDR, "service-cluster-ip-range", c.Network.ServiceCIDR, "range of ClusterIPs")
	flags.StringVar(&c.Network.NodePorts, "service-node-port-range", c.Network.NodePorts, "range of node ports")
	flags.StringSliceVar(&c.Storage.Endpoints, "etcd-servers", nil, "URLs of etcd (default: one in this process)")
	flags.StringVar(&c.Storage.CAFile, "etcd-cafile", "", "authority of etcd")
	flags.StringVar(&c.Storage.CertFile, "etcd-certfile", "", "client certificate for etcd")
	flags.StringVar(&c.Storage.KeyFile, "etcd-keyfile", "", "its key")
	flags.StringSliceVar(&s.Admission.EnablePlugins, "enable-admission-plugins", nil, "admission plugins that are on besides the usual ones")
	flags.StringSliceVar(&s.Admission.DisablePlugins, "disable-admission-plugins", nil, "admission plugins that are off")
	flags.StringVar(&s.Authentication.ConfigFile, "authentication-config", "", "AuthenticationConfiguration")
	flags.StringVar(&s.Authorization.ConfigFile, "authorization-config", "", "AuthorizationConfiguration")
	flags.StringVar(&s.Encryption.ConfigFile, "encryption-provider-config", "", "EncryptionConfiguration")
	flags.StringVar(&s.Audit.PolicyFile, "audit-policy-file", "", "audit policy")
	flags.StringVar(&s.Audit.LogPath, "audit-log-path", "", "audit log")
	flags.Int32Var(&s.MaxRequestsInFlight, "max-requests-inflight", s.MaxRequestsInFlight, "reads at once")
	flags.Int32Var(&s.MaxMutatingRequestsInFlight, "max-mutating-requests-inflight", s.MaxMutatingRequestsInFlight, "writes at once")
	addEnablement(flags, c)
	for _, name := range unused {
		flags.String(name, "", "changes nothing here")
		flag := flags.Lookup(name)
		flag.Hidden, flag.NoOptDefVal = true, "true"
	}
}

// complete sets what several flags say together.
func (f *apiserverFlags) complete(c *v1alpha1.Cluster) error {
	if f.etcdPrefix != "/registry" {
		return errors.New("reading --etcd-prefix: everything is kept below /registry, other prefixes are not supported")
	}
	c.Nodes = new(int32)
	c.DataDir = filepath.Join(f.certDir, "coracle")
	c.Listen = net.JoinHostPort(f.bindAddress, strconv.Itoa(f.port))
	for name, path := range map[string]*string{"apiserver.crt": &c.APIServer.Certificate.CertFile, "apiserver.key": &c.APIServer.Certificate.KeyFile} {
		if _, err := os.Stat(filepath.Join(f.certDir, name)); err == nil && *path == "" {
			*path = filepath.Join(f.certDir, name)
		}
	}
	return nil
}
