package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/klog/v2"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/cluster/agent"
)

// tokenVariable is an environment variable with the join token: a flag's value
// shows in the list of processes.
const tokenVariable = "CORACLE_TOKEN"

func agentCommand() *cobra.Command {
	var server, token, file, dataDir, listen, name, address, runtimeEndpoint string
	cmd := &cobra.Command{
		Use:   "agent --server URL [--token TOKEN]",
		Short: "Run one node of a cluster whose server runs elsewhere",
		Long: `Run one real node in this process until Ctrl-C or SIGTERM, as part of a cluster
that "coracle server" or "coracle up" runs, here or on another machine. The
token is what "coracle token create" prints there; the agent knows the right
server by it, and the server the agent. It is needed for the first start only:
the agent keeps a certificate in its data directory, with which it starts again
and renews it. After it is lost, delete the Node and join with a new token.

The node's address must be the one that its connection to the server comes
from; agents.proxies in the server's configuration names load balancers that
may pass it on.

A server that is to be reached from elsewhere listens on an address that is not
loopback: coracle server --listen 0.0.0.0:6443`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			given := &v1alpha1.Cluster{}
			if file != "" {
				var err error
				if given, err = v1alpha1.Load(file); err != nil {
					return err
				}
			}
			config := agent.Config{Server: server, Token: token, DataDir: given.DataDir, Listen: listen, Node: given.Node, MTU: given.Network.MTU}
			if config.Token == "" {
				config.Token = strings.TrimSpace(os.Getenv(tokenVariable))
			}
			if config.Server == "" {
				return errors.New("an agent needs --server and, the first time, --token (or " + tokenVariable + ")")
			}
			for field, value := range map[*string]string{&config.DataDir: dataDir, &config.Node.Name: name, &config.Node.Address: address, &config.Node.ContainerRuntimeEndpoint: runtimeEndpoint} {
				if value != "" {
					*field = value
				}
			}
			quiet()
			defer klog.Flush()
			out := cmd.ErrOrStderr()
			started := processStart()
			err := agent.Run(cmd.Context(), config, agent.Options{Logger: klog.Background(), Progress: func(step string) {
				fmt.Fprintln(out, stamp(started), step)
			}})
			return oneLine(err)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&server, "server", "", "URL of the API server, such as https://10.0.0.1:6443")
	flags.StringVar(&token, "token", "", "join token, for the first start: what coracle token create prints (default $"+tokenVariable+")")
	flags.StringVar(&file, "config", "", "configuration file (apiVersion "+v1alpha1.APIVersion+", kind "+v1alpha1.Kind+"), of which dataDir, node and network.mtu are used; flags are set over it")
	flags.StringVar(&dataDir, "data-dir", "", "where the agent keeps everything (default "+agent.DefaultDir()+")")
	flags.StringVar(&listen, "listen", "", "address and port of the node's API, by which the server gets logs and streams (default: the node's address, a free port)")
	flags.StringVar(&name, "node-name", "", "name of the node (default: the host's)")
	flags.StringVar(&address, "node-address", "", "IP address of the node (default: the one from which this machine reaches the server)")
	flags.StringVar(&runtimeEndpoint, "container-runtime-endpoint", "", "CRI socket of a running containerd to use instead of starting one")
	return cmd
}
