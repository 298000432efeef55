// Package enablement reads which API versions a configuration turns on and off, in
// the syntax and with the precedence of kube-apiserver's --runtime-config.
//
// The API of this package is not stable: see docs/api.md.
package enablement

import (
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensionsv1beta1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1beta1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/server/options"
	"k8s.io/apiserver/pkg/server/resourceconfig"
	serverstorage "k8s.io/apiserver/pkg/server/storage"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	apiregistrationv1beta1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1beta1"
)

// Merge returns what remains of defaults when config is set over them: api/all,
// api/ga, api/beta and api/alpha, then group versions, then single resources. Groups
// and versions that Kubernetes does not have are refused in upstream's words.
func Merge(defaults *serverstorage.ResourceConfig, config map[string]string) (*serverstorage.ResourceConfig, error) {
	known, err := versions()
	if err != nil {
		return nil, err
	}
	flags := options.APIEnablementOptions{RuntimeConfig: config}
	for _, err := range flags.Validate(known) {
		return nil, err
	}
	return resourceconfig.MergeAPIResourceConfigs(defaults, config, known) //nolint:wrapcheck // upstream's words
}

// Validate refuses what Merge refuses.
func Validate(config map[string]string) error {
	if len(config) == 0 {
		return nil
	}
	_, err := Merge(serverstorage.NewResourceConfig(), config)
	return err
}

// versions has every version that Kubernetes has types of, also those that are not
// served any more: these may be named, as upstream.
func versions() (*runtime.Scheme, error) {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientscheme.AddToScheme, apiextensionsv1.AddToScheme, apiextensionsv1beta1.AddToScheme,
		apiregistrationv1.AddToScheme, apiregistrationv1beta1.AddToScheme,
	} {
		if err := add(s); err != nil {
			return nil, fmt.Errorf("listing the versions of Kubernetes: %w", err)
		}
	}
	return s, nil
}
