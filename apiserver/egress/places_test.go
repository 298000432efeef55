package egress

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// dialers lists, by import path, the functions and types that open connections, or make
// something that does. A name that ends in * is a prefix; an empty list is the whole package.
var dialers = map[string][]string{
	"net":               {"Dial*"},
	"net/http":          {"Transport", "DefaultTransport", "DefaultClient", "Client", "Get", "Head", "Post", "PostForm"},
	"net/http/httputil": {"ReverseProxy", "NewSingleHostReverseProxy"},
	"crypto/tls":        {"Dial*"},
	"net/smtp":          nil, "net/rpc": nil, "golang.org/x/net/proxy": nil, "golang.org/x/net/websocket": nil, "github.com/gorilla/websocket": nil,
	"google.golang.org/grpc":               {"Dial*", "NewClient"},
	"go.etcd.io/etcd/client/v3":            {"New", "Config", "NewFromURL*"},
	"go.etcd.io/etcd/client/v3/kubernetes": {"New"},

	"k8s.io/apimachinery/pkg/util/proxy": {"NewUpgradeAwareHandler", "DialURL"},
	"k8s.io/apimachinery/pkg/util/net":   {"SetTransportDefaults", "SetOldTransportDefaults"},
	"k8s.io/apiserver/pkg/util/proxy":    {"NewStreamTranslatorHandler"},
	"k8s.io/client-go/rest":              {"TransportFor", "HTTPClientFor", "RESTClientFor*", "UnversionedRESTClientFor*", "HTTPWrappersForConfig", "InClusterConfig"},
	"k8s.io/client-go/transport":         {"New", "TLSConfigFor"},
	"k8s.io/client-go/transport/spdy":    nil, "k8s.io/client-go/transport/websocket": nil,
	"k8s.io/client-go/tools/clientcmd":     {"BuildConfig*", "RESTConfig*", "NewNonInteractive*", "NewDefaultClientConfig*", "NewInteractive*"},
	"k8s.io/client-go/tools/remotecommand": nil, "k8s.io/client-go/tools/portforward": nil,
	"k8s.io/client-go/util/connrotation": {"NewDialer*"},

	"k8s.io/apiserver/pkg/util/webhook":                        {"LoadKubeconfig", "NewGenericWebhook", "NewClientManager"},
	"k8s.io/apiserver/plugin/pkg/audit/webhook":                {"NewBackend"},
	"k8s.io/apiserver/plugin/pkg/authenticator/token/oidc":     {"New"},
	"k8s.io/apiserver/plugin/pkg/authenticator/token/webhook":  {"New*"},
	"k8s.io/apiserver/plugin/pkg/authorizer/webhook":           {"New*"},
	"k8s.io/apiserver/pkg/admission/plugin/webhook/mutating":   {"New*"},
	"k8s.io/apiserver/pkg/admission/plugin/webhook/validating": {"New*"},
	"k8s.io/apiextensions-apiserver/pkg/apiserver/conversion":  {"New*"},
	"k8s.io/apiserver/pkg/server/options/encryptionconfig":     {"LoadEncryptionConfig"},
	"k8s.io/apiserver/pkg/server/egressselector":               nil,
}

const (
	byRule   = "by the rule: the transport dials by egress.Dial"
	services = "by the rule: services.Network dials by egress.Except"
	operator = "the operator names the address, in the configuration or its files"
	memory   = "in-process transport: opens no connection"
)

// places lists where the server dials, by file and what is used there, each with
// the reason why it may. For a new entry, decide whether a user can write the
// address: if so, egress.Dial must connect.
var places = map[string]string{
	"apiserver/egress/egress.go net.Dialer":                                            "the rule itself",
	"apiserver/registry/core/connect/connect.go http.Transport":                        byRule,
	"apiserver/registry/core/connect/connect.go proxy.NewUpgradeAwareHandler":          "takes its transport from the caller: DirectTransport's, or the connector's",
	"apiserver/registry/core/connect/connect.go proxy.NewStreamTranslatorHandler":      "takes its transport from the caller: the connector's",
	"apiserver/aggregator/proxy.go http.Transport":                                     services,
	"apiserver/aggregator/proxy.go proxy.NewUpgradeAwareHandler":                       services,
	"apiserver/admission/dynamic/webhooks.go mutating.NewMutatingWebhook":              services + "; one named by URL may be anywhere, see services.Network.Wrap",
	"apiserver/admission/dynamic/webhooks.go validating.NewValidatingAdmissionWebhook": services + "; one named by URL may be anywhere, see services.Network.Wrap",
	"apiserver/customresources/definitions.go conversion.NewCRConverterFactory":        services + "; one named by URL may be anywhere, see services.Network.Wrap",

	"apiserver/admission/imagepolicy/imagepolicy.go webhook.LoadKubeconfig":    operator,
	"apiserver/admission/imagepolicy/imagepolicy.go webhook.NewGenericWebhook": operator,
	"apiserver/audit/audit.go webhook.NewBackend":                              operator,
	"apiserver/auth/authn/issuers.go oidc.New":                                 operator,
	"apiserver/auth/authn/webhook.go webhook.LoadKubeconfig":                   operator,
	"apiserver/auth/authn/webhook.go webhook.New":                              operator,
	"apiserver/auth/authz/structured.go webhook.LoadKubeconfig":                operator,
	"apiserver/auth/authz/structured.go webhook.New":                           operator,
	"apiserver/encryption/encryption.go encryptionconfig.LoadEncryptionConfig": operator + "; it is a unix socket",
	"apiserver/etcd/remote.go kubernetes.New":                                  operator,
	"apiserver/etcd/remote.go client.Config":                                   operator,

	"cluster/host/address.go net.Dial":                                "a UDP socket that sends nothing: it asks the kernel for a route",
	"cluster/agent/agent.go net.Dialer":                               operator + ": an agent's server",
	"cluster/agent/agent.go connrotation.NewDialer":                   operator + ": an agent's server",
	"cluster/agent/agent.go http.Transport":                           operator + ": an agent's server",
	"cluster/agent/joiner.go net.Dialer":                              operator + ": an agent's server",
	"cluster/agent/joiner.go http.Transport":                          operator + ": an agent's server",
	"cluster/connector/connector.go http.Transport":                   "agents of other processes at whatever address their node wrote, for an agent may be on the server's machine, but the other side shows a certificate for the node's name, of the authority of agents, before anything is sent",
	"cluster/connector/local.go http.Transport":                       "a connection in memory: opens none",
	"cluster/connector/connector.go net.Dialer":                       "as its http.Transport; with configured authorities of agents, whose certificates bind no node, egress.Dial connects",
	"cluster/shared/manager.go http.Client":                           "a type in a signature",
	"cluster/controllers/metricsapi.go rest.UnversionedRESTClientFor": memory,
}

// parts of the source whose code runs in the server.
var parts = []string{"apiserver", "cluster", "controllers", "scheduler"}

// TestPlacesThatDial fails for a place that is not in the list, and for one in the
// list that is not there any more.
func TestPlacesThatDial(t *testing.T) {
	found := map[string]token.Position{}
	root := filepath.Join("..", "..")
	for _, part := range parts {
		err := filepath.WalkDir(filepath.Join(root, part), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			name, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			return scan(path, func(used string, at token.Position) { found[filepath.ToSlash(name)+" "+used] = at })
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, place := range slices.Sorted(maps.Keys(found)) {
		if places[place] == "" {
			t.Errorf("%s: %q dials and is not in the list of places: decide whether it must go through egress.Dial", found[place], place)
		}
	}
	for place := range places {
		if _, ok := found[place]; !ok {
			t.Errorf("%q is in the list of places and not in the source", place)
		}
	}
}

// scan calls report for each use of a dialer in a file, named by the last element
// of the import path that is no version.
func scan(path string, report func(used string, at token.Position)) error {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	imports := map[string]string{} // import paths by the name in the file
	for _, i := range file.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			return err
		}
		name := base(p)
		if i.Name != nil {
			name = i.Name.Name
		}
		if names, ok := dialers[p]; ok {
			imports[name] = p
			if len(names) == 0 {
				report(base(p), files.Position(i.Pos()))
			}
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, ok := s.X.(*ast.Ident)
		if !ok || !dials(imports[x.Name], s.Sel.Name) {
			return true
		}
		report(base(imports[x.Name])+"."+s.Sel.Name, files.Position(s.Pos()))
		return true
	})
	return nil
}

func dials(path, name string) bool {
	return slices.ContainsFunc(dialers[path], func(d string) bool {
		prefix, ok := strings.CutSuffix(d, "*")
		return name == d || ok && strings.HasPrefix(name, prefix)
	})
}

// base returns the last element of an import path, but for a version.
func base(path string) string {
	elements := strings.Split(path, "/")
	last := elements[len(elements)-1]
	if len(elements) > 1 && len(last) > 1 && last[0] == 'v' && strings.Trim(last[1:], "0123456789") == "" {
		last = elements[len(elements)-2]
	}
	return last
}
