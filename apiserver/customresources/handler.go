package customresources

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apihelpers"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/endpoints/handlers"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	"k8s.io/apiserver/pkg/endpoints/metrics"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/warning"
)

// ServeHTTP serves everything below /apis/ that no built-in group does, and
// answers 404 to what no definition has.
func (s *Server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	info, ok := request.RequestInfoFrom(req.Context())
	if !ok {
		http.NotFound(w, req)
		return
	}
	if !s.wait(req.Context()) {
		s.fail(w, req, info, apierrors.NewServiceUnavailable("the definitions of custom resources are being read"))
		return
	}
	if !info.IsResourceRequest {
		s.serveDiscovery(w, req, info)
		return
	}
	for {
		d := s.lookup(schema.GroupResource{Group: info.APIGroup, Resource: info.Resource})
		if d == nil || !d.serves(info) {
			http.NotFound(w, req) // a text, as upstream's
			return
		}
		if info.Namespace == "." || info.Namespace == ".." { // of which no key can be made
			s.fail(w, req, info, apierrors.NewBadRequest(fmt.Sprintf("Namespace parameter invalid: %q", info.Namespace)))
			return
		}
		if d.serving.enter() {
			d.serving.serve(w, req, info, d.crd)
			return
		}
	}
}

func (s *Server) fail(w http.ResponseWriter, req *http.Request, info *request.RequestInfo, err error) {
	responsewriters.ErrorNegotiated(err, s.codecs, schema.GroupVersion{Group: info.APIGroup, Version: info.APIVersion}, w, req)
}

// serves reports whether the path exists: the version is served, and there is a
// namespace where there must be one, or a list across all.
func (d *definition) serves(info *request.RequestInfo) bool {
	if !apihelpers.HasServedCRDVersion(d.crd, info.APIVersion) {
		return false
	}
	if d.crd.Spec.Scope == apiextensionsv1.ClusterScoped {
		return info.Namespace == ""
	}
	return info.Namespace != "" || info.Verb == "list" || info.Verb == "watch"
}

// serve answers a request that has entered, and leaves. Watches leave at once:
// they end when the storage is closed, which does not wait for them.
func (s *serving) serve(w http.ResponseWriter, req *http.Request, info *request.RequestInfo, crd *definitionCRD) {
	leave := sync.OnceFunc(s.leave)
	defer leave()
	v, err := s.version(req.Context(), info.APIVersion)
	if err != nil {
		s.server.fail(w, req, info, apierrors.NewInternalError(err))
		return
	}
	for _, text := range v.warnings {
		warning.AddWarning(req.Context(), "", text)
	}
	terminating := crd.DeletionTimestamp != nil || apihelpers.IsCRDConditionTrue(crd, apiextensionsv1.Terminating)
	handler, err := s.handler(v, info, terminating)
	if err != nil {
		s.server.fail(w, req, info, err)
		return
	}
	handler = metrics.InstrumentHandlerFunc(strings.ToUpper(info.Verb), info.APIGroup, info.APIVersion, info.Resource, info.Subresource,
		metrics.CleanScope(info), metrics.APIServerComponent, v.deprecated, "", handler)
	if info.Verb == "watch" {
		leave()
	}
	handler(w, req)
}

func (s *serving) handler(v *endpoint, info *request.RequestInfo, terminating bool) (http.HandlerFunc, error) {
	admit := s.server.config.Admission
	creating := admit
	if terminating {
		creating = noCreate{admit}
	}
	switch {
	case info.Subresource == "":
		if h := s.object(v, info, admit, creating); h != nil {
			return h, nil
		}
	case info.Subresource == "status" && v.status != nil:
		if h := subresource(v.storage.Status, v.status, info, admit); h != nil {
			return h, nil
		}
	case info.Subresource == "scale" && v.scale != nil:
		if h := subresource(v.storage.Scale, v.scale, info, admit); h != nil {
			return h, nil
		}
	default:
		return nil, apierrors.NewNotFound(schema.GroupResource{Group: info.APIGroup, Resource: info.Resource}, info.Name)
	}
	return nil, apierrors.NewMethodNotSupported(schema.GroupResource{Group: info.APIGroup, Resource: info.Resource}, info.Verb)
}

func (s *serving) object(v *endpoint, info *request.RequestInfo, admit, creating admission.Interface) http.HandlerFunc {
	st := v.storage.CustomResource
	switch info.Verb {
	case "get":
		return handlers.GetResource(st, v.main)
	case "list", "watch":
		return handlers.ListResource(st, st, v.main, info.Verb == "watch", s.server.config.MinRequestTimeout)
	case "create":
		s.server.used(s.crd.Name)
		return handlers.CreateResource(st, v.main, creating)
	case "update":
		return handlers.UpdateResource(st, v.main, admit)
	case "patch":
		s.server.used(s.crd.Name) // an apply may create
		return handlers.PatchResource(st, v.main, creating, patchTypes())
	case "delete":
		return handlers.DeleteResource(st, true, v.main, admit)
	case "deletecollection":
		return handlers.DeleteCollection(st, true, v.main, admit)
	}
	return nil
}

func subresource(st rest.Patcher, scope *handlers.RequestScope, info *request.RequestInfo, admit admission.Interface) http.HandlerFunc {
	switch info.Verb {
	case "get":
		return handlers.GetResource(st, scope)
	case "update":
		return handlers.UpdateResource(st, scope, admit)
	case "patch":
		return handlers.PatchResource(st, scope, admit, patchTypes())
	}
	return nil
}

func patchTypes() []string {
	return []string{string(types.JSONPatchType), string(types.MergePatchType), string(types.ApplyYAMLPatchType)}
}

// noCreate refuses new objects of a definition that is going.
type noCreate struct{ admission.Interface }

var errTerminating = errors.New("create not allowed while custom resource definition is terminating")

func (n noCreate) Handles(o admission.Operation) bool {
	return o == admission.Create || n.Interface.Handles(o)
}

func (n noCreate) refuse(a admission.Attributes) error {
	if a.GetOperation() != admission.Create {
		return nil
	}
	return apierrors.NewForbidden(a.GetResource().GroupResource(), a.GetName(), errTerminating)
}

func (n noCreate) Admit(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	if err := n.refuse(a); err != nil {
		return err
	}
	if m, ok := n.Interface.(admission.MutationInterface); ok {
		return m.Admit(ctx, a, o)
	}
	return nil
}

func (n noCreate) Validate(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	if err := n.refuse(a); err != nil {
		return err
	}
	if v, ok := n.Interface.(admission.ValidationInterface); ok {
		return v.Validate(ctx, a, o)
	}
	return nil
}
