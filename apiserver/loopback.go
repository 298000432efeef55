package apiserver

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/rest"

	"github.com/coracle-k8s/coracle/apiserver/inprocess"
)

// Loopback connects clients of this process to one Server, without a socket. It may be made
// before the Server, for handlers of the Server that are clients of it, too.
type Loopback struct{ transport *inprocess.Transport }

// NewLoopback returns a Loopback that no Server has yet.
func NewLoopback() *Loopback {
	return &Loopback{inprocess.New(&user.DefaultInfo{Name: user.APIServerUser, Groups: []string{user.SystemPrivilegedGroup, user.AllAuthenticated}})}
}

// RESTConfig returns the configuration of a client that acts as system:masters. Requests made
// before the server is up wait for it.
func (l *Loopback) RESTConfig() *rest.Config {
	return &rest.Config{
		Host: "http://coracle.in-process", Transport: l.transport, QPS: -1,
		ContentConfig: rest.ContentConfig{
			ContentType:        runtime.ContentTypeProtobuf,
			AcceptContentTypes: runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON,
		},
		UserAgent: "coracle",
	}
}
