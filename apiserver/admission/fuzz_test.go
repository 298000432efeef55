package admission_test

import (
	"bytes"
	"testing"

	"k8s.io/utils/clock"

	"github.com/coracle-k8s/coracle/apiserver/admission/dynamic"
	"github.com/coracle-k8s/coracle/apiserver/admission/eventratelimit"
	"github.com/coracle-k8s/coracle/apiserver/admission/podnodeselector"
	"github.com/coracle-k8s/coracle/apiserver/admission/podsecurity"
	"github.com/coracle-k8s/coracle/apiserver/admission/podtolerationrestriction"
)

// FuzzConfigurations gives the configuration files of admission plugins to all of
// them. A plugin that is made is made of the same file again.
func FuzzConfigurations(f *testing.F) {
	for _, text := range []string{
		"", "null", "[]", "{}", "a: b", "\xff", "a: &a [*a]", "staticManifestsDir: /x", "staticManifestsDir: [1]",
		"limits: [{type: Server, qps: 1, burst: 1}]", "limits: [{type: User, qps: 1, burst: 1, cacheSize: -5}, {type: X}]", "limits: [null]", "apiVersion: eventratelimit.admission.k8s.io/v1alpha1\nkind: Configuration\nlimits: [{type: Namespace, qps: 2147483647, burst: 2147483647, cacheSize: 2147483647}]",
		"podNodeSelectorPluginConfig: {clusterDefaultNodeSelector: 'a=b', ns: '!!'}", "podNodeSelectorPluginConfig: {a: null}",
		"apiVersion: podtolerationrestriction.admission.k8s.io/v1alpha1\nkind: Configuration\ndefault: [{key: a, operator: Exists}]\nwhitelist: [{}]",
		"apiVersion: pod-security.admission.config.k8s.io/v1\nkind: PodSecurityConfiguration\ndefaults: {enforce: restricted, enforce-version: v1.99}\nexemptions: {usernames: ['']}",
		"apiVersion: apiserver.config.k8s.io/v1\nkind: WebhookAdmissionConfiguration\nkubeConfigFile: /none",
	} {
		f.Add([]byte(text))
	}
	load := map[string]func([]byte) error{
		"EventRateLimit": func(b []byte) error {
			_, err := eventratelimit.New(bytes.NewReader(b), clock.RealClock{})
			return err
		},
		"PodNodeSelector":          func(b []byte) error { _, err := podnodeselector.New(nil, bytes.NewReader(b)); return err },
		"PodTolerationRestriction": func(b []byte) error { _, err := podtolerationrestriction.New(nil, bytes.NewReader(b)); return err },
		"PodSecurity": func(b []byte) error {
			c, err := podsecurity.Load(bytes.NewReader(b))
			if err == nil {
				_, err = podsecurity.New(podsecurity.Config{Defaults: c})
			}
			return err
		},
		"manifests": func(b []byte) error { return dynamic.RefuseManifests(bytes.NewReader(b)) },
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<14 {
			return
		}
		for name, from := range load {
			if one, two := from(data), from(data); (one == nil) != (two == nil) {
				t.Errorf("%s: %v, then %v", name, one, two)
			}
		}
	})
}
