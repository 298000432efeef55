package dynamic

import (
	"strings"
	"testing"
)

func TestManifestsAreRefused(t *testing.T) {
	if err := RefuseManifests(nil); err != nil {
		t.Error(err)
	}
	for config, want := range map[string]string{
		"apiVersion: apiserver.config.k8s.io/v1\nkind: ValidatingAdmissionPolicyConfiguration":                             "",
		"apiVersion: apiserver.config.k8s.io/v1\nkind: ValidatingAdmissionPolicyConfiguration\nstaticManifestsDir: /etc/p": "staticManifestsDir is not supported",
		"{": "parsing the configuration",
	} {
		if err := RefuseManifests(strings.NewReader(config)); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", config, err)
		}
	}
	// The library checks that the directory exists before it can be refused.
	const webhooks = "apiVersion: apiserver.config.k8s.io/v1\nkind: WebhookAdmissionConfiguration\nstaticManifestsDir: "
	if _, err := read(strings.NewReader(webhooks + t.TempDir())); err == nil || !strings.Contains(err.Error(), "staticManifestsDir is not supported") {
		t.Errorf("webhooks: %v", err)
	}
}
