package apiserver

import (
	"context"
	"errors"
	"fmt"

	apiextensionsclient "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset/typed/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/discovery/aggregated"
	genericapiserver "k8s.io/apiserver/pkg/server"

	"github.com/coracle-k8s/coracle/apiserver/customresources"
)

// buildCustom makes the server of custom resources; it rests until there is a
// definition, or may be one by another server.
func (s *Server) buildCustom(c *genericapiserver.Config) error {
	definitions, err := apiextensionsclient.NewForConfig(s.RESTConfig())
	if err != nil {
		return fmt.Errorf("making a client of definitions: %w", err)
	}
	s.custom, err = customresources.New(customresources.Config{
		RESTOptions: s.getter.CustomResources(), Stored: s.getter.Stored, Definitions: definitions,
		Admission: s.access.Chain, Authorizer: s.access.Authorizer, MaxRequestBodyBytes: c.MaxRequestBodyBytes, MinRequestTimeout: s.config.Settings.MinRequestTimeout.Duration,
		Services: s.services, Clock: s.config.Clock,
		Discovery: s.generic.AggregatedDiscoveryGroupManager.WithSource(aggregated.CRDSource), Groups: s.groups.from(ofDefinitions),
		Changed: s.changes.Announce,
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), etcdPatience)
	defer cancel()
	kept, err := s.kept(ctx, schema.GroupResource{Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions"})
	if err != nil {
		return err
	}
	if kept {
		s.custom.Demand()
	}
	return nil
}

// checkCustom keeps the server from being ready before it serves the custom
// resources whose definitions are stored.
func (s *Server) checkCustom() error {
	if !s.custom.Ready() {
		return errors.New("the definitions of custom resources are being read")
	}
	return nil
}
