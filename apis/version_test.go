package apis_test

import (
	"os"
	"regexp"
	"testing"

	"github.com/coracle-k8s/coracle/apis"
)

// TestKubernetesVersion compares the version with that of the libraries, v0.37.2 for v1.37.2.
func TestKubernetesVersion(t *testing.T) {
	text, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	api := regexp.MustCompile(`k8s\.io/api v0(\.\S+)`).FindSubmatch(text)
	if api == nil || "v1"+string(api[1]) != apis.KubernetesVersion {
		t.Errorf("Kubernetes is %s, but go.mod has %q", apis.KubernetesVersion, api)
	}
	if got := apis.KubernetesMinor(); !regexp.MustCompile(`^v` + regexp.QuoteMeta(got) + `\.\d+$`).MatchString(apis.KubernetesVersion) {
		t.Errorf("the minor version of %s is %s", apis.KubernetesVersion, got)
	}
}
