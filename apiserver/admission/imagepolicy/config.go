package imagepolicy

import (
	"fmt"
	"io"
	"time"

	"sigs.k8s.io/yaml"
)

// Configuration is the part imagePolicy of the plugin's configuration.
type Configuration struct {
	// KubeConfigFile has the address of the service and the credentials for it.
	KubeConfigFile string `json:"kubeConfigFile"`
	// AllowTTL and DenyTTL are for how many seconds an answer is remembered, 1
	// to 1800; 0 means 300 and 30, -1 not at all.
	AllowTTL int64 `json:"allowTTL"`
	DenyTTL  int64 `json:"denyTTL"`
	// RetryBackoff is how many milliseconds the first retry waits, at most five
	// minutes; 0 means 500, -1 none.
	RetryBackoff int64 `json:"retryBackoff"`
	// DefaultAllow admits images when the service cannot be asked.
	DefaultAllow bool `json:"defaultAllow"`
}

// settings are a Configuration with its defaults.
type settings struct {
	kubeconfig              string
	allowTTL, denyTTL, wait time.Duration
	defaultAllow            bool
}

func load(config io.Reader) (settings, error) {
	if config == nil {
		return settings{}, fmt.Errorf("no config specified")
	}
	data, err := io.ReadAll(config)
	if err != nil {
		return settings{}, err
	}
	var file struct {
		ImagePolicy Configuration `json:"imagePolicy"`
	}
	if err := yaml.UnmarshalStrict(data, &file); err != nil {
		return settings{}, err
	}
	c := file.ImagePolicy
	s := settings{kubeconfig: c.KubeConfigFile, defaultAllow: c.DefaultAllow}
	if s.wait, err = duration(c.RetryBackoff, time.Millisecond, 1, 5*time.Minute, 500*time.Millisecond); err != nil {
		return s, fmt.Errorf("imagePolicy.retryBackoff: %w", err)
	}
	if s.allowTTL, err = duration(c.AllowTTL, time.Second, time.Second, 30*time.Minute, 5*time.Minute); err != nil {
		return s, fmt.Errorf("imagePolicy.allowTTL: %w", err)
	}
	if s.denyTTL, err = duration(c.DenyTTL, time.Second, time.Second, 30*time.Minute, 30*time.Second); err != nil {
		return s, fmt.Errorf("imagePolicy.denyTTL: %w", err)
	}
	return s, nil
}

// duration returns n units; 0 means the default and -1 zero.
func duration(n int64, unit, least, most, otherwise time.Duration) (time.Duration, error) {
	switch n {
	case -1:
		return 0, nil
	case 0:
		return otherwise, nil
	}
	if n < 0 || n > int64(most/unit) || time.Duration(n)*unit < least {
		return 0, fmt.Errorf("valid value is between %v and %v, got %d", least, most, n)
	}
	return time.Duration(n) * unit, nil
}
