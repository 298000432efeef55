package all

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/registry/rest"
)

var update = flag.Bool("update", false, "write testdata/tables.golden again")

// TestTables renders every object of testdata/objects.yaml as its resource
// does for kubectl get -o wide.
func TestTables(t *testing.T) {
	built, env := build(t)
	input, err := os.ReadFile("testdata/objects.yaml")
	if err != nil {
		t.Fatal(err)
	}
	decoder := serializer.NewCodecFactory(env.Scheme, serializer.EnableStrict).UniversalDeserializer()
	var out bytes.Buffer
	var last schema.GroupVersionKind
	var w *tabwriter.Writer
	seen := map[schema.GroupVersionKind]bool{}
	for _, doc := range strings.Split(string(input), "\n---\n") {
		obj, gvk, err := decoder.Decode([]byte(doc), nil, nil)
		if err != nil {
			t.Fatalf("decoding %s: %v", doc, err)
		}
		seen[*gvk] = true
		env.Scheme.Default(obj)
		hub, err := env.Scheme.ConvertToVersion(obj, schema.GroupVersion{Group: gvk.Group, Version: runtime.APIVersionInternal})
		if err != nil {
			t.Fatal(err)
		}
		table := tableOf(t, built, *gvk, hub)
		if *gvk != last {
			if w != nil {
				w.Flush()
				fmt.Fprintln(&out)
			}
			last, w = *gvk, tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
			fmt.Fprintf(&out, "# %s\n", gvk)
			fmt.Fprintln(w, header(table))
		}
		for _, row := range table.Rows {
			fmt.Fprintln(w, strings.TrimSuffix(fmt.Sprintln(join(row.Cells)), "\n"))
		}
	}
	w.Flush()
	for _, r := range everything() {
		if len(r.Verbs) > 1 && !seen[r.GVK] && (r.Stable() || r.StoredAs == nil) {
			t.Errorf("testdata/objects.yaml has no %s", r.GVK)
		}
	}
	compare(t, out.Bytes())
}

func tableOf(t *testing.T, built map[schema.GroupVersionResource]map[string]rest.Storage, gvk schema.GroupVersionKind, obj runtime.Object) *metav1.Table {
	t.Helper()
	for _, r := range everything() {
		if r.GVK != gvk && r.GVK.GroupVersion().WithKind(r.GVK.Kind+"List") != gvk {
			continue
		}
		table, err := built[r.GVR()][""].(rest.TableConvertor).ConvertToTable(context.Background(), obj, nil)
		if err != nil {
			t.Fatalf("%s: %v", gvk, err)
		}
		return table
	}
	t.Fatalf("no resource for %s", gvk)
	return nil
}

func header(table *metav1.Table) string {
	var cells []any
	for _, c := range table.ColumnDefinitions {
		name := strings.ToUpper(c.Name)
		if c.Priority > 0 {
			name = "+" + name
		}
		cells = append(cells, name)
	}
	return join(cells)
}

func join(cells []any) string {
	text := make([]string, len(cells))
	for i, c := range cells {
		if text[i] = fmt.Sprint(c); text[i] == "" {
			text[i] = `""`
		}
	}
	return strings.Join(text, "\t")
}

func compare(t *testing.T, got []byte) {
	t.Helper()
	const golden = "testdata/tables.golden"
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("tables differ from %s (-want +got; rewrite with -update):\n%s", golden, diff)
	}
}
