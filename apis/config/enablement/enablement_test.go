package enablement

import (
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
	serverstorage "k8s.io/apiserver/pkg/server/storage"
)

// TestRefusesInUpstreamsWords uses kube-apiserver v1.37.1's messages.
func TestRefusesInUpstreamsWords(t *testing.T) {
	for want, config := range map[string]map[string]string{
		"unknown api groups nope.k8s.io/v1":                                                    {"nope.k8s.io/v1": "true"},
		"group version apps/v9 that has not been registered":                                   {"apps/v9": "true"},
		"runtime-config invalid key v1":                                                        {"v1": "true"},
		"invalid runtime-config with only api/all=false":                                       {"api/all": "false"},
		"invalid value api/beta=yes":                                                           {"api/beta": "yes"},
		`invalid value of apps/v1: yes, err: strconv.ParseBool: parsing "yes": invalid syntax`: {"apps/v1": "yes"},
		`invalid key apps/v1/Deployments: group/version/resource and resource is always lowercase plural, not "Deployments"`: {"apps/v1/Deployments": "true"},
	} {
		if err := Validate(config); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	for _, config := range []map[string]string{
		nil, {"api/all": "true"}, {"apps/v1beta1": "true"}, {"extensions/v1beta1/ingresses": "true"}, {"apiextensions.k8s.io/v1": ""},
	} {
		if err := Validate(config); err != nil {
			t.Errorf("%v: %v", config, err)
		}
	}
}

// TestPrecedence sets single versions over stages, and resources over versions.
func TestPrecedence(t *testing.T) {
	v1 := schema.GroupVersion{Group: "resource.k8s.io", Version: "v1"}
	beta := schema.GroupVersion{Group: "resource.k8s.io", Version: "v1beta1"}
	for name, c := range map[string]struct {
		config         map[string]string
		v1, beta, both bool // both: deviceclasses of the beta version
	}{
		"default":              {map[string]string{"apps/v1": "true"}, true, false, false},
		"beta":                 {map[string]string{"api/beta": "true"}, true, true, true},
		"all but beta":         {map[string]string{"api/all": "true", "api/beta": "false"}, true, false, false},
		"none but one":         {map[string]string{"api/all": "false", "resource.k8s.io/v1beta1": "true"}, false, true, true},
		"a version but one":    {map[string]string{"api/beta": "true", "resource.k8s.io/v1beta1/deviceclasses": "false"}, true, true, false},
		"one of a version":     {map[string]string{"resource.k8s.io/v1beta1/deviceclasses": "true"}, true, false, true},
		"no stable, one group": {map[string]string{"api/ga": "false", "resource.k8s.io/v1": "true"}, true, false, false},
	} {
		defaults := serverstorage.NewResourceConfig()
		defaults.EnableVersions(v1)
		defaults.DisableVersions(beta)
		got, err := Merge(defaults, c.config)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for resource, want := range map[schema.GroupVersionResource]bool{
			v1.WithResource("resourceclaims"): c.v1, beta.WithResource("resourceclaims"): c.beta, beta.WithResource("deviceclasses"): c.both,
		} {
			if on := got.ResourceEnabled(resource); on != want {
				t.Errorf("%s: %s is %t", name, resource, on)
			}
		}
	}
}
