package cluster

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Reasons to leave a field at its default.
const (
	// tuned fields are times, bounds and rates whose default is upstream's, or what
	// was measured to be best; the configuration file does not have them.
	tuned = "its default is upstream's or was measured, and the configuration has no such field"
	// detected fields override what the part finds out by itself, for its tests.
	detected = "the part finds it out by itself"
)

// unset are the fields of parts' configurations that a cluster leaves at their
// defaults, with the reason. Keys are "folder.Type.Field".
var unset = map[string]string{
	"apiserver.Config.Connections": "the limits of the process",
	"apiserver.Config.Tokens":      "for servers without a cluster; users of a cluster name files, and agents have bootstrap tokens",

	"controllers/endpointslice.Config.MaxEndpointsPerSlice":  tuned,
	"controllers/horizontalpodautoscaler.Config.Period":      tuned,
	"controllers/nodelifecycle.Config.EvictionRate":          tuned,
	"controllers/nodelifecycle.Config.LargeClusterSize":      tuned,
	"controllers/nodelifecycle.Config.SecondaryEvictionRate": tuned,
	"controllers/nodelifecycle.Config.StartupGracePeriod":    tuned,
	"controllers/nodelifecycle.Config.UnhealthyThreshold":    tuned,
	"controllers/rootca.Config.Changed":                      "a process has one authority from its start to its end",
	"controllers/serviceloadbalancer.Config.ClusterName":     "upstream's default, kubernetes",

	"nodeagent.Config.Capacity":            detected,
	"nodeagent.Config.Hostname":            "nodes are reached by address, and their hostname label is their name",
	"nodeagent.Config.ImageGCHighPercent":  tuned,
	"nodeagent.Config.ImageGCLowPercent":   tuned,
	"nodeagent.Config.ImageMinimumAge":     tuned,
	"nodeagent.Config.LeaseDuration":       tuned,
	"nodeagent.Config.MaxContainerBackoff": tuned,
	"nodeagent.Config.NodeCgroups":         detected,
	"nodeagent.Config.ResolvConf":          "the machine's own /etc/resolv.conf, as for the cluster's DNS",
	"nodeagent.Config.SeccompDir":          "below the agent's directory, as the kubelet's",
	"nodeagent.Config.StatusInterval":      tuned,

	"nodeagent/network.Config.DataDir":                        "below /run, which does not survive a boot",
	"nodeagent/runtime/containerd.Config.RegistryConfigDir":   "below the runtime's directory",
	"nodeagent/runtime/containerd.Config.RestrictOOMScore":    detected,
	"nodeagent/runtime/containerd.Config.Snapshotter":         "overlayfs is the only one that is tested",
	"nodeagent/runtime/containerd.Config.StartTimeoutSeconds": tuned,

	"nodeagent/simulated.Config.LeaseDuration": tuned,
	"nodeagent/simulated.Config.NamePrefix":    "the prefix is refused to joining agents, so it is one",
	"nodeagent/simulated.Config.Names":         "instead of Nodes",
	"nodeagent/simulated.Config.NodeCIDR":      tuned,
	"nodeagent/simulated.Config.PodCIDR":       "pods of simulated nodes share one range, because nothing can reach them",
	"nodeagent/simulated.Config.Taints":        "the configuration has labels and capacity of simulated nodes only",
	"nodeagent/simulated.Config.Writers":       tuned,

	"cluster/node.Host.Metrics": "an agent serves no metrics of its own",
	"cluster/node.Host.Port":    "nodes of the server's process have no port",

	"proxy.Config.Family":          "IPv4, the only family of nodes",
	"proxy.Config.MinSyncInterval": tuned,

	"scheduler.Config.Binders":                  tuned,
	"scheduler.Config.PercentageOfNodesToScore": tuned,
	"scheduler.Config.SchedulerName":            "upstream's, default-scheduler",
	"scheduler.Config.Seed":                     "for reproducible tests",
}

// TestEveryFieldIsWired fails when a cluster makes a part without setting a field
// of its Config: a feature that is never configured does not exist for users. It
// reads the source, so it holds for nodes of every kind and for agents.
func TestEveryFieldIsWired(t *testing.T) {
	// The API server and the node agent compose their parts themselves.
	files := map[string]*ast.File{}
	for _, dir := range []string{".", "agent", "connector", "controllers", "credentials", "joinserver", "leader", "node", "shared", "../apiserver", "../apiserver/access", "../nodeagent"} {
		maps.Copy(files, parseDir(t, dir))
	}
	used := map[string]bool{}
	for name, file := range files {
		imports, zero := importedParts(file), returned(file)
		ast.Inspect(file, func(n ast.Node) bool {
			literal, ok := n.(*ast.CompositeLit)
			if !ok || zero[literal] {
				return true
			}
			sel, ok := literal.Type.(*ast.SelectorExpr)
			if !ok || !strings.HasSuffix(sel.Sel.Name, "Config") && sel.Sel.Name != "Deps" && sel.Sel.Name != "Host" {
				return true
			}
			pkg, ok := sel.X.(*ast.Ident)
			if !ok || imports[pkg.Name] == "" {
				return true
			}
			folder := imports[pkg.Name]
			set := append(named(literal), assigned(file)...)
			for _, field := range fieldsOf(t, filepath.Join("..", folder), sel.Sel.Name) {
				key := fmt.Sprintf("%s.%s.%s", folder, sel.Sel.Name, field)
				if slices.Contains(set, field) {
					continue
				}
				used[key] = true
				if unset[key] == "" {
					t.Errorf("%s: %s is not set: wire it, or say in the list unset why not", name, key)
				}
			}
			return true
		})
	}
	for key := range unset {
		if !used[key] {
			t.Errorf("%s is in the list unset but is set, or gone", key)
		}
	}
}

// returned are the empty literals that a file returns: zero values beside an error.
func returned(file *ast.File) map[*ast.CompositeLit]bool {
	out := map[*ast.CompositeLit]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		if r, ok := n.(*ast.ReturnStmt); ok {
			for _, result := range r.Results {
				if literal, ok := result.(*ast.CompositeLit); ok && len(literal.Elts) == 0 {
					out[literal] = true
				}
			}
		}
		return true
	})
	return out
}

func parseDir(t *testing.T, dir string) map[string]*ast.File {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]*ast.File{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = file
	}
	return files
}

// importedParts maps the names under which a file imports packages of this module
// to their folders.
func importedParts(file *ast.File) map[string]string {
	out := map[string]string{}
	for _, spec := range file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		folder, ours := strings.CutPrefix(path, "github.com/coracle-k8s/coracle/")
		if err != nil || !ours {
			continue
		}
		name := folder[strings.LastIndex(folder, "/")+1:]
		if spec.Name != nil {
			name = spec.Name.Name
		}
		out[name] = folder
	}
	return out
}

// named returns the fields that a literal names.
func named(literal *ast.CompositeLit) []string {
	var out []string
	for _, e := range literal.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			if key, ok := kv.Key.(*ast.Ident); ok {
				out = append(out, key.Name)
			}
		}
	}
	return out
}

// assigned returns the fields that a file sets afterwards, of a variable called
// config or, in functions that take a pointer to it, to.
func assigned(file *ast.File) []string {
	var out []string
	ast.Inspect(file, func(n ast.Node) bool {
		a, ok := n.(*ast.AssignStmt)
		if !ok {
			return true
		}
		for _, left := range a.Lhs {
			if sel, ok := left.(*ast.SelectorExpr); ok {
				if x, ok := sel.X.(*ast.Ident); ok && (x.Name == "config" || x.Name == "to") {
					out = append(out, sel.Sel.Name)
				}
			}
		}
		return true
	})
	return out
}

// fieldsOf returns the exported fields of a struct type of a package.
func fieldsOf(t *testing.T, dir, name string) []string {
	t.Helper()
	var out []string
	for _, file := range parseDir(t, dir) {
		for _, decl := range file.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range gen.Specs {
				ts, ok := spec.(*ast.TypeSpec)
				if !ok || ts.Name.Name != name {
					continue
				}
				s, ok := ts.Type.(*ast.StructType)
				if !ok {
					continue
				}
				for _, f := range s.Fields.List {
					for _, id := range f.Names {
						if id.IsExported() {
							out = append(out, id.Name)
						}
					}
				}
			}
		}
	}
	if len(out) == 0 {
		t.Fatalf("%s has no struct %s", dir, name)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
