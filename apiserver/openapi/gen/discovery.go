//go:build openapigen

package main

import (
	"slices"

	"github.com/emicklei/go-restful/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/discovery"
)

// discoveryServices returns the routes of discovery and of the issuer's OpenID
// documents, which the server answers by other means, for their descriptions.
func discoveryServices(codecs runtime.NegotiatedSerializer, versions []schema.GroupVersion) []*restful.WebService {
	services := []*restful.WebService{
		discovery.NewLegacyRootAPIHandler(nil, codecs, "/api").WebService(),
		discovery.NewRootAPIsHandler(nil, codecs).WebService(),
		openID("/.well-known/openid-configuration", restful.MIME_JSON, "getServiceAccountIssuerOpenIDConfiguration",
			"get service account issuer OpenID configuration, also known as the 'OIDC discovery doc'"),
		openID("/openid/v1/jwks", "application/jwk-set+json", "getServiceAccountIssuerOpenIDKeyset",
			"get service account issuer OpenID JSON Web Key Set (contains public token verification keys)"),
	}
	var groups []string
	for _, gv := range versions {
		if gv.Group != "" && !slices.Contains(groups, gv.Group) {
			groups = append(groups, gv.Group)
			services = append(services, discovery.NewAPIGroupHandler(codecs, metav1.APIGroup{Name: gv.Group}).WebService())
		}
	}
	return services
}

// openID describes a document that is text to the description, as upstream.
func openID(path, media, operation, doc string) *restful.WebService {
	ws := new(restful.WebService).Path(path).Produces(media)
	ws.Route(ws.GET("").To(func(*restful.Request, *restful.Response) {}).
		Doc(doc).Operation(operation).Returns(200, "OK", "").Writes(""))
	return ws
}
