package v1alpha1

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/equality"
)

// FuzzDecode reads configuration files. What is read is written and read again, and
// defaults of what has defaults change nothing.
func FuzzDecode(f *testing.F) {
	sample, err := os.ReadFile("../../../config/samples/cluster.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range []string{
		string(sample), "", "{}", "null", "---\n---\n", "nodes: 0\n", "nodes: -1", "nodes: 1e9", "nodes: 99999999999", "network: {podCIDR: 10.0.0.0/8, serviceCIDR: '::/0', nodeCIDRMaskSize: -5}", "network: null", "network: {podCIDR: 10.0.0.0/33}",
		"simulation: {nodes: 2147483647, capacity: {cpu: -1, '': 1e99}}", "controllers: {enabled: ['*', -job, '']}", "a: &a [*a]", "a: &a {b: *a}", "listen: 127.0.0.1:99999", "listen: ':'", "{\"nodes\": 1, \"nodes\": 2}", "\xff", "storage: {endpoints: ['', 'http://[::1']}",
		"apiServer: {corsAllowedOrigins: ['(', '//x$'], audit: {logMaxSize: -1}}", "leaderElection: {leaseDuration: -1s, renewDeadline: 9999999h}", "? [a]\n: b", "!!binary x", "x: !!float .nan",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 || strings.Count(string(data), "*") > 50 {
			return
		}
		c, err := Decode(data)
		if err != nil {
			return
		}
		c.Default()
		again := c.DeepCopy()
		again.Default()
		if !equality.Semantic.DeepEqual(c, again) {
			t.Errorf("defaults change defaults:\n%+v\n%+v", c, again)
		}
		c.Validate()
		if !equality.Semantic.DeepEqual(c, again) {
			t.Errorf("validation changes what it reads:\n%+v\n%+v", c, again)
		}
		text, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		same, err := Decode(text)
		if err != nil || !equality.Semantic.DeepEqual(c, same) {
			t.Errorf("%s reads as\n%+v, %v", text, same, err)
		}
	})
}
