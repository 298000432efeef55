package kubeapiserver

import (
	"maps"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
)

func enablementFlags(config *v1alpha1.Cluster) *pflag.FlagSet {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	(&Flags{set: flags, config: config}).addEnablement()
	return flags
}

// TestEnablementFlags repeats flags and keys, over those of the configuration.
func TestEnablementFlags(t *testing.T) {
	config := &v1alpha1.Cluster{FeatureGates: map[string]bool{"A": true, "B": true}}
	config.APIServer.RuntimeConfig = map[string]string{"api/beta": "true", "apps/v1": "true"}
	err := enablementFlags(config).Parse([]string{
		"--runtime-config=api/beta=false,resource.k8s.io/v1beta1", "--runtime-config", "api/alpha=true",
		"--feature-gates=A=false, C=true,", "--feature-gates=kube:D=1,C=false",
	})
	if err != nil {
		t.Fatal(err)
	}
	versions := map[string]string{"api/beta": "false", "apps/v1": "true", "resource.k8s.io/v1beta1": "", "api/alpha": "true"}
	if !maps.Equal(config.APIServer.RuntimeConfig, versions) {
		t.Errorf("versions: %v", config.APIServer.RuntimeConfig)
	}
	if gates := map[string]bool{"A": false, "B": true, "C": false, "D": true}; !maps.Equal(config.FeatureGates, gates) {
		t.Errorf("gates: %v", config.FeatureGates)
	}
	none := &v1alpha1.Cluster{}
	if err := enablementFlags(none).Parse(nil); err != nil || len(none.FeatureGates)+len(none.APIServer.RuntimeConfig) > 0 {
		t.Errorf("without flags: %v, %v", none.FeatureGates, err)
	}
}

func TestEnablementFlagsAreRefused(t *testing.T) {
	for flag, want := range map[string]string{
		"--feature-gates=AllAlpha":       "missing bool value for AllAlpha",
		"--feature-gates=AllAlpha=maybe": `invalid value of AllAlpha=maybe, err: strconv.ParseBool: parsing "maybe": invalid syntax`,
		"--feature-gates=wardle:A=true":  "component not registered: wardle",
	} {
		if err := enablementFlags(&v1alpha1.Cluster{}).Parse([]string{flag}); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", flag, err, want)
		}
	}
}
