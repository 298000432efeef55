package apiserver

import (
	"runtime"
	"strconv"

	apiversion "k8s.io/apimachinery/pkg/version"
	"k8s.io/component-base/compatibility"

	"github.com/coracle-k8s/coracle/apis"
)

// effectiveVersion reports apis.KubernetesVersion, where the library would report
// what upstream's build stamps into it.
type effectiveVersion struct{ compatibility.EffectiveVersion }

func newEffectiveVersion() compatibility.EffectiveVersion {
	return effectiveVersion{compatibility.NewEffectiveVersionFromString(apis.KubernetesMinor(), "", "")}
}

// Info implements compatibility.EffectiveVersion; /version serves it.
func (v effectiveVersion) Info() *apiversion.Info {
	binary, emulated, least := v.BinaryVersion(), v.EmulationVersion(), v.MinCompatibilityVersion()
	return &apiversion.Info{
		Major: number(binary.Major()), Minor: number(binary.Minor()), EmulationMajor: number(emulated.Major()), EmulationMinor: number(emulated.Minor()),
		MinCompatibilityMajor: number(least.Major()), MinCompatibilityMinor: number(least.Minor()),
		GitVersion: apis.KubernetesVersion + "+coracle", GitTreeState: "clean",
		GoVersion: runtime.Version(), Compiler: runtime.Compiler, Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
}

func number(n uint) string { return strconv.FormatUint(uint64(n), 10) }
