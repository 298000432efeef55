package aggregator

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	genericapi "k8s.io/apiserver/pkg/endpoints"
	"k8s.io/kube-aggregator/pkg/apis/apiregistration"
)

// check decides whether the server behind an APIService is available: its
// Service has a ready endpoint, and it answers discovery of its group. The
// answer is its discovery.
func (s *Server) check(ctx context.Context, r *remote, a *apiService) error {
	var o observed
	o.service, o.serviceErr = s.config.Service(ctx, r.ref.Namespace, r.ref.Name)
	if o.serviceErr == nil {
		o.endpoints, o.endpointsErr = s.config.Endpoints(ctx, r.ref.Namespace, r.ref.Name)
	}
	result, err := passed(), error(nil)
	if refused := verdict(&r.ref, o); refused != nil {
		result = *refused
	} else if err = s.discover(ctx, r); err != nil {
		r.transport.CloseIdleConnections()
		result = failed(err)
	}
	r.available.Store(result.Status == "True")
	s.countUnavailable(a, string(result.Status) == "True", result.Reason)
	s.publish(r, result.Status != "True")
	next := withCondition(a, result, metav1.NewTime(s.config.Clock.Now()))
	if next == nil {
		return err
	}
	if failed := s.config.WriteStatus(ctx, next); failed != nil {
		if apierrors.IsNotFound(failed) {
			return nil
		}
		return fmt.Errorf("writing the status of APIService %s: %w", a.Name, failed)
	}
	return err
}

// countUnavailable counts an APIService when it becomes unavailable.
func (s *Server) countUnavailable(a *apiService, available bool, reason string) {
	if available {
		s.config.Unavailable.SetAPIServiceAvailable(a.Name)
		return
	}
	s.config.Unavailable.SetAPIServiceUnavailable(a.Name)
	if apiregistration.IsAPIServiceConditionTrue(a, apiregistration.Available) {
		s.config.Unavailable.UnavailableCounter(a.Name, reason).Inc()
	}
}

// discover asks the server for its resources and documents.
func (s *Server) discover(ctx context.Context, r *remote) error {
	if r.err != nil {
		return r.err
	}
	path := "/apis/" + r.gv.Group + "/" + r.gv.Version
	body, _, err := r.get(ctx, path, "")
	if err != nil {
		return err
	}
	var list metav1.APIResourceList
	if err := json.Unmarshal(body, &list); err != nil {
		// It answers, which is all that was asked of it.
		list.APIResources = nil
	}
	old := r.resources.Load()
	r.resources.Store(&list.APIResources)
	r.describe(ctx)
	if old == nil || len(*old) != len(list.APIResources) {
		s.config.Changed()
	}
	return nil
}

// answerLimit bounds what is read of another server's answer.
const answerLimit = 64 << 20

// get asks the server in the aggregator's name, which may everything.
func (r *remote) get(ctx context.Context, path, query string) (body []byte, etag string, err error) {
	ctx, cancel := context.WithTimeout(ctx, discoveryTimeout)
	defer cancel()
	location := r.location(path, query)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, location.String(), nil)
	if err != nil {
		return nil, "", fmt.Errorf("asking %s: %w", location, err)
	}
	req.Header.Set("Accept", "application/json")
	setUser(req, &user.DefaultInfo{Name: "system:kube-aggregator", Groups: []string{user.SystemPrivilegedGroup}})
	response, err := r.transport.RoundTrip(req)
	if err != nil {
		return nil, "", fmt.Errorf("failing or missing response from %s: %w", location, err)
	}
	defer response.Body.Close()
	body, err = io.ReadAll(io.LimitReader(response.Body, answerLimit))
	if err != nil {
		return nil, "", fmt.Errorf("failing or missing response from %s: %w", location, err)
	}
	if response.StatusCode < 200 || response.StatusCode >= 300 {
		return nil, "", fmt.Errorf("failing or missing response from %s: bad status from %s: %d", location, location, response.StatusCode)
	}
	return body, response.Header.Get("Etag"), nil
}

// publish puts the server's resources into aggregated discovery; stale is what
// a server had before it went away.
func (s *Server) publish(r *remote, stale bool) {
	version := apidiscoveryv2.APIVersionDiscovery{Freshness: apidiscoveryv2.DiscoveryFreshnessCurrent, Version: r.gv.Version}
	if stale {
		version.Freshness = apidiscoveryv2.DiscoveryFreshnessStale
	}
	if known := r.resources.Load(); known != nil {
		list := slices.Clone(*known)
		for i := range list {
			if list[i].Version == "" {
				list[i].Group, list[i].Version = r.gv.Group, r.gv.Version
			}
		}
		slices.SortFunc(list, func(a, b metav1.APIResource) int { return strings.Compare(a.Name, b.Name) })
		if converted, err := genericapi.ConvertGroupVersionIntoToDiscovery(list); err == nil {
			version.Resources = converted
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.remotes[r.gv.Version+"."+r.gv.Group] != r {
		return
	}
	s.config.Discovery.AddGroupVersion(r.gv.Group, version)
	s.config.Discovery.SetGroupVersionPriority(metav1.GroupVersion{Group: r.gv.Group, Version: r.gv.Version},
		int(r.spec.GroupPriorityMinimum), int(r.spec.VersionPriority))
}
