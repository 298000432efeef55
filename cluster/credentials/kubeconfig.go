package credentials

import (
	"fmt"

	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/coracle-k8s/coracle/apiserver/datafile"
	"github.com/coracle-k8s/coracle/apiserver/pki"
)

// WriteKubeconfig makes the administrator's kubeconfig, for the server at a URL, and returns its
// path. Set continued if the cluster should have one: then it reports a missing or damaged one.
func (c *Credentials) WriteKubeconfig(url string, continued bool) (string, error) {
	pair, err := c.Authority.Certificate(pki.Request{Name: "admin", User: "kubernetes-admin", Groups: []string{user.SystemPrivilegedGroup}}, c.config.Clock.Now())
	if err != nil {
		return "", err
	}
	const name = "coracle"
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{Server: url, CertificateAuthorityData: c.ServerCA}
	config.AuthInfos[name] = &clientcmdapi.AuthInfo{ClientCertificateData: pair.Cert, ClientKeyData: pair.Key}
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	config.CurrentContext = name
	path := c.path("kubeconfig")
	data, err := clientcmd.Write(*config)
	if err != nil {
		return "", fmt.Errorf("encoding %s: %w", path, err)
	}
	old, err := clientcmd.LoadFromFile(path)
	if continued && (err != nil || old.CurrentContext != name || old.AuthInfos[name] == nil) {
		c.config.Report(fmt.Sprintf("making %s, which is missing or damaged", path))
	}
	if err := datafile.Write(path, data); err != nil {
		return "", fmt.Errorf("writing %s: %w", path, err)
	}
	return path, nil
}
