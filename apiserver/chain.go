package apiserver

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"

	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/filterlatency"
	genericapifilters "k8s.io/apiserver/pkg/endpoints/filters"
	"k8s.io/apiserver/pkg/endpoints/filters/impersonation"
	"k8s.io/apiserver/pkg/endpoints/request"
	genericapiserver "k8s.io/apiserver/pkg/server"
	genericfilters "k8s.io/apiserver/pkg/server/filters"

	"github.com/coracle-k8s/coracle/apiserver/connections"
	"github.com/coracle-k8s/coracle/apiserver/fairness"
)

// outerChain wraps h in the filters for requests from the network: those of upstream's
// DefaultBuildHandlerChain (k8s.io/apiserver/pkg/server/config.go) in its order. fair
// holds back what the server cannot do at once. Upstream's other filters, left out here:
//
//   - WithImpersonation, where the feature ConstrainedImpersonation is off, which
//     by default it is not. Constrained impersonation includes the legacy one.
//   - WithMaxInFlightLimit, for servers without priority and fairness.
//   - WithStorageVersionPrecondition and WithRoutine, whose features (StorageVersionAPI,
//     APIServingWithRoutine) are alpha and off.
//   - WithTracing: no tracing can be configured here, so spans would go nowhere.
//   - WithWatchTerminationDuringShutdown and WithRetryAfter, each for a flag that is
//     off by default and has no counterpart in the configuration. A stop cancels
//     watches at once (serve.go).
//   - WithHTTPLogging: the server logs no requests; the audit log has them.
//   - WithMuxAndDiscoveryComplete, which answers 503 in place of 404 until every path
//     is installed. Here all are before the first connection is accepted, and those
//     of custom resources and APIServices wait for the lists of these.
func outerChain(h http.Handler, c *genericapiserver.Config, fair *fairness.Filter, report func(error)) http.Handler {
	h = timed(h, c, "authorization", func(h http.Handler) http.Handler {
		return genericapifilters.WithAuthorization(h, c.Authorization.Authorizer, c.Serializer)
	})
	h = timed(h, c, "priorityandfairness", func(h http.Handler) http.Handler { return fair.Wrap(h, c) })
	h = timed(h, c, "constrainedimpersonation", func(h http.Handler) http.Handler {
		return impersonation.WithConstrainedImpersonation(h, c.Authorization.Authorizer, c.Serializer)
	})
	h = timed(h, c, "audit", func(h http.Handler) http.Handler {
		return genericapifilters.WithAudit(h, c.AuditBackend, c.AuditPolicyRuleEvaluator, c.LongRunningFunc)
	})
	h = withKnownConnection(h)
	failed := genericapifilters.Unauthorized(c.Serializer)
	failed = genericapifilters.WithFailedAuthenticationAudit(failed, c.AuditBackend, c.AuditPolicyRuleEvaluator)
	failed = filterlatency.TrackCompleted(failed)
	h = timed(h, c, "authentication", func(h http.Handler) http.Handler {
		return genericapifilters.WithAuthentication(h, c.Authentication.Authenticator, failed, c.Authentication.APIAudiences, c.Authentication.RequestHeaderConfig)
	})
	h = genericfilters.WithCORS(h, c.CorsAllowedOriginList, nil, nil, nil, "true")
	h = genericapifilters.WithWarningRecorder(h)
	h = genericfilters.WithTimeoutForNonLongRunningRequests(h, c.LongRunningFunc)
	h = genericapifilters.WithRequestDeadline(h, c.AuditBackend, c.AuditPolicyRuleEvaluator, c.LongRunningFunc, c.Serializer, c.RequestTimeout)
	h = genericfilters.WithWaitGroup(h, c.LongRunningFunc, c.NonLongRunningRequestWaitGroup)
	if c.GoawayChance > 0 {
		h = genericfilters.WithProbabilisticGoaway(h, c.GoawayChance)
	}
	h = genericapifilters.WithCacheControl(h)
	h = genericfilters.WithHSTS(h, c.HSTSDirectives)
	h = genericapifilters.WithLatencyTrackers(h)
	h = genericapifilters.WithRequestInfo(h, c.RequestInfoResolver)
	h = genericapifilters.WithRequestReceivedTimestamp(h)
	h = genericfilters.WithPanicRecovery(withReportedPanics(h, report), c.RequestInfoResolver)
	return genericapifilters.WithAuditInit(h)
}

// timed puts a filter before h and records how long it takes by itself, in
// upstream's apiserver_request_filter_duration_seconds.
func timed(h http.Handler, c *genericapiserver.Config, name string, filter func(http.Handler) http.Handler) http.Handler {
	return filterlatency.TrackStarted(filter(filterlatency.TrackCompleted(h)), c.TracerProvider, name)
}

// innerChain wraps h in the filters for requests of this process. Their transport has set
// the user and they are trusted: they are not authenticated, authorized or held back.
func innerChain(h http.Handler, c *genericapiserver.Config, report func(error)) http.Handler {
	if c.AuditBackend != nil {
		h = genericapifilters.WithAudit(h, c.AuditBackend, c.AuditPolicyRuleEvaluator, c.LongRunningFunc)
	}
	h = genericapifilters.WithRequestInfo(h, c.RequestInfoResolver)
	h = genericapifilters.WithRequestReceivedTimestamp(h)
	h = genericfilters.WithPanicRecovery(withReportedPanics(h, report), c.RequestInfoResolver)
	// The handlers note what they do in the audit context without asking for it.
	return genericapifilters.WithAuditInit(h)
}

// withReportedPanics reports each panic of h, with its stack, and panics again. The
// recovery outside it ends the request, and logs only where logs are on.
func withReportedPanics(h http.Handler, report func(error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if err, ok := v.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
				report(fmt.Errorf("%s %s panicked: %v\n%s", r.Method, r.URL.Path, v, debug.Stack()))
			}
			panic(v)
		}()
		h.ServeHTTP(w, r)
	})
}

// withKnownConnection marks the connection of a request whose user is not
// anonymous as authenticated.
func withKnownConnection(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u, ok := request.UserFrom(r.Context()); ok && !slices.Contains(u.GetGroups(), user.AllUnauthenticated) {
			connections.Authenticated(r.Context())
		}
		h.ServeHTTP(w, r)
	})
}
