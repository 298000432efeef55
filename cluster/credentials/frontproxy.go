package credentials

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"os"

	"github.com/coracle-k8s/coracle/apiserver/pki"
)

// frontProxyUser is the common name of the certificate that aggregated API
// servers are shown.
const frontProxyUser = "front-proxy-client"

// readProxy reads the certificate with which the server passes requests on to aggregated ones: the
// configured one, or one of an authority of its own, since its holder may act as any user. The
// authority is made in any case: it is part of the cluster's identity.
func (c *Credentials) readProxy() error {
	authority, err := c.open("pki/front-proxy")
	if err != nil {
		return err
	}
	if files := c.config.Cluster.APIServer.Proxy; files.CertFile != "" {
		if c.Proxy, err = tls.LoadX509KeyPair(files.CertFile, files.KeyFile); err != nil {
			return fmt.Errorf("loading the front proxy's certificate: %w", err)
		}
		return c.describeProxy(nil)
	}
	pair, err := authority.Certificate(pki.Request{Name: "client", User: frontProxyUser}, c.config.Clock.Now())
	if err != nil {
		return err
	}
	if err := c.describeProxy(authority.PEM); err != nil {
		return err
	}
	if c.Proxy, err = pair.TLS(); err != nil {
		return fmt.Errorf("loading the front proxy's certificate: %w", err)
	}
	return nil
}

// describeProxy fills what is published of the proxies to believe: this one, by its
// own authority if it has one, and one that is configured in front.
func (c *Credentials) describeProxy(authority []byte) error {
	h := c.config.Cluster.APIServer.Authentication.RequestHeader
	names := []string{}
	if authority != nil {
		names = append(names, frontProxyUser)
	}
	if h.ClientCAFile != "" {
		more, err := os.ReadFile(h.ClientCAFile)
		if err != nil {
			return fmt.Errorf("reading the front proxy's authorities: %w", err)
		}
		authority = append(append([]byte{}, authority...), more...)
		if names = append(names, h.AllowedNames...); len(h.AllowedNames) == 0 {
			names = []string{}
		}
	}
	clients := append([]byte{}, c.Authority.PEM...)
	if file := c.config.Cluster.APIServer.Authentication.ClientCAFile; file != "" {
		more, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("reading the authorities of clients: %w", err)
		}
		clients = append(clients, more...)
	}
	c.Authentication = map[string]string{"client-ca-file": string(clients)}
	if len(authority) == 0 {
		return nil // no aggregated server can authenticate the proxy
	}
	c.Authentication["requestheader-client-ca-file"] = string(authority)
	for key, headers := range map[string][]string{
		"requestheader-allowed-names":        names,
		"requestheader-username-headers":     {"X-Remote-User"},
		"requestheader-uid-headers":          {"X-Remote-Uid"},
		"requestheader-group-headers":        {"X-Remote-Group"},
		"requestheader-extra-headers-prefix": {"X-Remote-Extra-"},
	} {
		data, err := json.Marshal(headers)
		if err != nil {
			return fmt.Errorf("encoding %s: %w", key, err)
		}
		c.Authentication[key] = string(data)
	}
	return nil
}
