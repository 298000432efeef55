package imagepolicy

import (
	"bytes"
	"testing"
	"time"
)

// FuzzLoad reads configurations; times are within their bounds.
func FuzzLoad(f *testing.F) {
	for _, text := range []string{"", "imagePolicy: null", "imagePolicy: {kubeConfigFile: /x, allowTTL: 50, denyTTL: -1, retryBackoff: 500, defaultAllow: true}", "imagePolicy: {allowTTL: 9223372036854775807}", "imagePolicy: {retryBackoff: -2}", "imagePolicy: {allowTTL: 1e3}", "imagePolicy: {denyTTL: 1801}"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<14 {
			return
		}
		s, err := load(bytes.NewReader(data))
		if err != nil {
			return
		}
		if s.wait < 0 || s.wait > 5*time.Minute || s.allowTTL < 0 || s.allowTTL > 30*time.Minute || s.denyTTL < 0 || s.denyTTL > 30*time.Minute {
			t.Errorf("%q reads %+v", data, s)
		}
	})
}
