package apiserver

import (
	"runtime"

	apiversion "k8s.io/apimachinery/pkg/version"
	"k8s.io/component-base/compatibility"

	"github.com/coracle-k8s/coracle/apis"
)

// effectiveVersion reports apis.KubernetesVersion, where the library would report
// what upstream's build stamps into it.
type effectiveVersion struct{ compatibility.EffectiveVersion }

func newEffectiveVersion() compatibility.EffectiveVersion {
	return effectiveVersion{compatibility.NewEffectiveVersionFromString("1.37", "", "")}
}

// Info implements compatibility.EffectiveVersion; it is what /version answers.
func (effectiveVersion) Info() *apiversion.Info {
	return &apiversion.Info{
		Major: "1", Minor: "37", EmulationMajor: "1", EmulationMinor: "37",
		MinCompatibilityMajor: "1", MinCompatibilityMinor: "36",
		GitVersion: apis.KubernetesVersion + "+coracle", GitTreeState: "clean",
		GoVersion: runtime.Version(), Compiler: runtime.Compiler, Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
}
