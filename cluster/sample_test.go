package cluster

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
)

const sampleFile = "../config/samples/cluster.yaml"

// The sample shows the defaults: strictly decoded it equals an empty file.
func TestSampleIsTheDefaults(t *testing.T) {
	sample, err := v1alpha1.Load(sampleFile)
	if err != nil {
		t.Fatal(err)
	}
	defaults := &v1alpha1.Cluster{DataDir: "/var/lib/coracle"}
	defaults.Default()
	if diff := cmp.Diff(asJSON(t, defaults), asJSON(t, sample)); diff != "" {
		t.Errorf("the sample differs from the defaults (-default +sample):\n%s", diff)
	}
}

// The sample shows every field, also those that are empty by default.
func TestSampleHasEveryField(t *testing.T) {
	text, err := os.ReadFile(sampleFile)
	if err != nil {
		t.Fatal(err)
	}
	var sample map[string]any
	if err := yaml.Unmarshal(text, &sample); err != nil {
		t.Fatal(err)
	}
	for _, path := range missing(reflect.TypeFor[v1alpha1.Cluster](), sample, "") {
		t.Errorf("%s lacks %s", sampleFile, path)
	}
}

func missing(typ reflect.Type, have map[string]any, path string) []string {
	var paths []string
	for _, field := range reflect.VisibleFields(typ) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		value, ok := have[name]
		if !ok {
			paths = append(paths, path+name)
			continue
		}
		if section, ok := value.(map[string]any); ok && field.Type.PkgPath() == typ.PkgPath() && field.Type.Kind() == reflect.Struct {
			paths = append(paths, missing(field.Type, section, path+name+".")...)
		}
	}
	return paths
}

// asJSON drops the difference between empty and absent.
func asJSON(t *testing.T, c *v1alpha1.Cluster) string {
	t.Helper()
	text, err := json.MarshalIndent(c, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
