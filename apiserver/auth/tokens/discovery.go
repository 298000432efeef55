package tokens

import (
	"crypto"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	jose "gopkg.in/go-jose/go-jose.v2"
)

// Paths of the discovery documents.
const (
	OpenIDConfigPath = "/.well-known/openid-configuration"
	JWKSPath         = "/openid/v1/jwks"
)

// Discovery serves the documents by which others check the issuer's tokens:
// https://openid.net/specs/openid-connect-discovery-1_0.html, of which
// Kubernetes has the part in
// https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#service-account-issuer-discovery.
type Discovery struct {
	config, jwks []byte
}

// NewDiscovery renders the documents. Without jwksURL the keys are at the issuer's
// own address, where clients found the first document: the server's may be one
// that no client reaches, such as 127.0.0.1.
func NewDiscovery(issuer, jwksURL string, keys []crypto.PublicKey) (*Discovery, error) {
	if jwksURL == "" {
		jwksURL = strings.TrimSuffix(issuer, "/") + JWKSPath
	}
	algorithms, err := wellKnownAlgorithms(keys)
	if err != nil {
		return nil, err
	}
	config, err := json.Marshal(map[string]any{
		"issuer": issuer, "jwks_uri": jwksURL,
		"response_types_supported":              []string{"id_token"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": algorithms,
	})
	if err != nil {
		return nil, fmt.Errorf("encoding the OpenID configuration: %w", err)
	}
	set := jose.JSONWebKeySet{}
	for _, k := range keys {
		jwk, err := publicJWK(k)
		if err != nil {
			return nil, err
		}
		set.Keys = append(set.Keys, jwk)
	}
	jwks, err := json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("encoding the token keys: %w", err)
	}
	return &Discovery{config: config, jwks: jwks}, nil
}

// Install registers the handlers, with and without a trailing slash.
func (d *Discovery) Install(handle func(path string, h http.Handler)) {
	for _, slash := range []string{"", "/"} {
		handle(OpenIDConfigPath+slash, document("application/json", d.config))
		handle(JWKSPath+slash, document("application/jwk-set+json", d.jwks))
	}
}

func document(contentType string, body []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Cache-Control", "public, max-age=3600")
		_, _ = w.Write(body) // the client is gone if this fails
	})
}
