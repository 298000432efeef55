package images

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path"
	"strings"

	"github.com/distribution/reference"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// entry is one registry's login in a docker config.
type entry struct {
	Username      string `json:"username"`
	Password      string `json:"password"`
	Auth          string `json:"auth"`
	IdentityToken string `json:"identitytoken"`
}

// login is one that fits an image, and whose it is.
type login struct {
	auth   *runtimeapi.AuthConfig
	secret pullSecret
}

func newLogin(secret *corev1.Secret, auth *runtimeapi.AuthConfig) login {
	// Marshalling strings cannot fail.
	b, _ := json.Marshal([]string{auth.Username, auth.Password, auth.IdentityToken, auth.ServerAddress})
	sum := sha256.Sum256(b)
	return login{auth, pullSecret{UID: secret.UID, Namespace: secret.Namespace, Name: secret.Name, Hash: hex.EncodeToString(sum[:])}}
}

// logins returns the logins of the pod's imagePullSecrets that fit the image.
// Secrets that do not exist are passed over, as Kubernetes documents.
func (p *Puller) logins(ctx context.Context, pod *corev1.Pod, ref reference.Named) ([]login, error) {
	var out []login
	for _, s := range pod.Spec.ImagePullSecrets {
		var secret corev1.Secret
		err := p.client.Get(ctx, client.ObjectKey{Namespace: pod.Namespace, Name: s.Name}, &secret)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading image pull secret %s: %w", s.Name, err)
		}
		entries, err := parseSecret(&secret)
		if err != nil {
			return nil, err
		}
		for registry, e := range entries {
			if fits(registry, ref) {
				out = append(out, newLogin(&secret, e.config(registry)))
			}
		}
	}
	return out, nil
}

func parseSecret(secret *corev1.Secret) (map[string]entry, error) {
	logins := map[string]entry{}
	var err error
	switch secret.Type {
	case corev1.SecretTypeDockerConfigJson:
		var file struct {
			Auths map[string]entry `json:"auths"`
		}
		err = json.Unmarshal(secret.Data[corev1.DockerConfigJsonKey], &file)
		logins = file.Auths
	case corev1.SecretTypeDockercfg:
		err = json.Unmarshal(secret.Data[corev1.DockerConfigKey], &logins)
	}
	if err != nil {
		return nil, fmt.Errorf("parsing image pull secret %s: %w", secret.Name, err)
	}
	return logins, nil
}

func (e entry) config(registry string) *runtimeapi.AuthConfig {
	out := &runtimeapi.AuthConfig{
		Username: e.Username, Password: e.Password, IdentityToken: e.IdentityToken, ServerAddress: registry,
	}
	if decoded, err := base64.StdEncoding.DecodeString(e.Auth); e.Auth != "" && err == nil {
		if user, password, ok := strings.Cut(string(decoded), ":"); ok {
			out.Username, out.Password = user, strings.TrimRight(password, "\x00")
		}
	}
	return out
}

// fits reports whether a login is for an image: its registry matches, where * is
// any part of a host name, and its path, if any, is a prefix. See
// https://kubernetes.io/docs/concepts/containers/images/#config-json.
func fits(registry string, ref reference.Named) bool {
	registry = strings.TrimPrefix(strings.TrimPrefix(registry, "https://"), "http://")
	registry = strings.TrimSuffix(registry, "/")
	registry = strings.TrimSuffix(strings.TrimSuffix(registry, "/v1"), "/v2")
	host, prefix, _ := strings.Cut(registry, "/")
	if host == "index.docker.io" || host == "registry-1.docker.io" {
		host = "docker.io"
	}
	domain := reference.Domain(ref)
	if strings.Count(host, ".") != strings.Count(domain, ".") {
		return false
	}
	if match, err := path.Match(host, domain); err != nil || !match {
		return false
	}
	return prefix == "" || reference.Path(ref) == prefix || strings.HasPrefix(reference.Path(ref), prefix+"/")
}
