package dispatch

import (
	"net/http"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
)

// unroutable returns the error of a request whose media types no route has.
// Upstream's router refuses such a request before any handler reads it, in words
// of its own: detectRoute of github.com/emicklei/go-restful.
func (d *Dispatcher) unroutable(st rest.Storage, info *request.RequestInfo, req *http.Request) error {
	if _, ok := st.(rest.Connecter); ok {
		return nil
	}
	if info.Verb == "patch" && !matches(req.Header.Get("Content-Type"), "application/octet-stream", patches()) {
		return refused(http.StatusUnsupportedMediaType, "415: Unsupported Media Type")
	}
	produced := d.produced(st, info)
	if !matches(req.Header.Get("Accept"), "*/*", produced) {
		return refused(http.StatusNotAcceptable, "406: Not Acceptable\n\nAvailable representations: "+strings.Join(produced, ", "))
	}
	return nil
}

func patches() []string {
	return []string{string(types.JSONPatchType), string(types.MergePatchType), string(types.StrategicMergePatchType), string(types.ApplyYAMLPatchType)}
}

// produced returns the media types of answers; lists may be watched.
func (d *Dispatcher) produced(st rest.Storage, info *request.RequestInfo) (out []string) {
	if m, ok := st.(rest.StorageMetadata); ok && info.Verb == "get" {
		out = append(out, m.ProducesMIMETypes(http.MethodGet)...)
	}
	var streamed []string
	for _, media := range d.codecs.SupportedMediaTypes() {
		out = append(out, media.MediaType)
		if media.StreamSerializer != nil {
			streamed = append(streamed, media.MediaType+";stream=watch")
		}
	}
	if info.Verb == "list" || info.Verb == "watch" {
		out = append(out, streamed...)
	}
	return out
}

// matches reports whether a header names one of the media types, whatever its parameters.
func matches(header, unset string, known []string) bool {
	if header == "" {
		header = unset
	}
	for media := range strings.SplitSeq(header, ",") {
		media, _, _ = strings.Cut(media, ";")
		if media = strings.TrimSpace(media); media == "*/*" || slices.Contains(known, media) {
			return true
		}
	}
	return false
}

func refused(code int, message string) error {
	return apierrors.NewGenericServerResponse(code, "", schema.GroupResource{}, "", message, 0, false)
}
