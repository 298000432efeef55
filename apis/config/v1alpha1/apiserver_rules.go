package v1alpha1

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/config/enablement"
)

// Default fills every field that was left out.
func (a *APIServer) Default() {
	set(&a.RequestTimeout.Duration, time.Minute)
	set(&a.MaxRequestsInFlight, 400)
	set(&a.MaxMutatingRequestsInFlight, 200)
	yes(&a.Profiling)
	yes(&a.Authentication.BootstrapTokens)
	set(&a.Authentication.TokenWebhook.Version, "v1")
	set(&a.Authentication.TokenWebhook.CacheTTL.Duration, 2*time.Minute)
	h := &a.Authentication.RequestHeader
	list(&h.UsernameHeaders, "X-Remote-User")
	list(&h.UIDHeaders, "X-Remote-Uid")
	list(&h.GroupHeaders, "X-Remote-Group")
	list(&h.ExtraHeaderPrefixes, "X-Remote-Extra-")
	if a.Authentication.AnonymousPaths == nil && a.Authentication.ConfigFile == "" {
		a.Authentication.AnonymousPaths = []string{"/livez", "/readyz", "/healthz"}
	}
	a.Audit.Default()
	yes(&a.ServiceAccounts.ExtendTokenExpiration)
	set(&a.Authentication.OIDC.UsernameClaim, "sub")
	list(&a.Authentication.OIDC.SigningAlgs, "RS256")
	a.Authorization.Webhook.Default()
	pointer(&a.Admission.NotReadyTolerationSeconds, 300)
	pointer(&a.Admission.UnreachableTolerationSeconds, 300)
	list(&a.Kubelet.PreferredAddressTypes, string(corev1.NodeInternalIP))
	set(&a.TLS.MinVersion, "VersionTLS12")
	set(&a.HTTP2.MaxStreamsPerConnection, 1000)
	set(&a.EventTTL.Duration, time.Hour)
	set(&a.DeleteCollectionWorkers, 16)
	set(&a.MinRequestTimeout.Duration, 30*time.Minute)
}

// Default fills every field that was left out.
func (w *AuthorizationWebhook) Default() {
	set(&w.Version, "v1")
	pointer(&w.AuthorizedTTL, metav1.Duration{Duration: 5 * time.Minute})
	pointer(&w.UnauthorizedTTL, metav1.Duration{Duration: 30 * time.Second})
}

func yes(field **bool) { pointer(field, true) }

func pointer[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}

// list leaves an empty list as it is: it asks for none.
func list(field *[]string, value string) {
	if *field == nil {
		*field = []string{value}
	}
}

// Validate checks defaulted settings; files are looked at when the server starts.
func (a *APIServer) Validate(at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if a.RequestTimeout.Duration < time.Second {
		errs = append(errs, field.Invalid(at.Child("requestTimeout"), a.RequestTimeout.Duration.String(), "must be at least 1s"))
	}
	if err := enablement.Validate(a.RuntimeConfig); err != nil {
		errs = append(errs, field.Invalid(at.Child("runtimeConfig"), field.OmitValueType{}, err.Error()))
	}
	for name, n := range map[string]int32{"maxRequestsInFlight": a.MaxRequestsInFlight, "maxMutatingRequestsInFlight": a.MaxMutatingRequestsInFlight} {
		if n < 1 {
			errs = append(errs, field.Invalid(at.Child(name), n, "must be at least 1"))
		}
	}
	for i, origin := range a.CORSAllowedOrigins {
		if err := checkOrigin(origin); err != nil {
			errs = append(errs, field.Invalid(at.Child("corsAllowedOrigins").Index(i), origin, err.Error()))
		}
	}
	errs = append(errs, pair(at.Child("certificate"), a.Certificate.CertFile, a.Certificate.KeyFile)...)
	errs = append(errs, a.ServiceAccounts.validate(at.Child("serviceAccounts"))...)
	errs = append(errs, a.validateServing(at)...)
	errs = append(errs, a.Authentication.validate(at.Child("authentication"))...)
	errs = append(errs, a.Authorization.validate(at.Child("authorization"), a.Authentication.AnonymousPaths)...)
	errs = append(errs, a.Admission.validate(at.Child("admission"))...)
	errs = append(errs, a.Audit.validate(at.Child("audit"))...)
	if a.Encryption.Reload && a.Encryption.ConfigFile == "" {
		errs = append(errs, field.Forbidden(at.Child("encryption", "reload"), "there is no configFile to reload"))
	}
	return errs
}

// pair reports that a certificate and its key come together.
func pair(at *field.Path, cert, key string) field.ErrorList {
	switch {
	case cert != "" && key == "":
		return field.ErrorList{field.Required(at.Child("keyFile"), "a certificate needs its key")}
	case cert == "" && key != "":
		return field.ErrorList{field.Required(at.Child("certFile"), "a key needs its certificate")}
	}
	return nil
}

// checkOrigin has upstream's rules: an expression that is not anchored would
// match more than is meant.
func checkOrigin(pattern string) error {
	if _, err := regexp.Compile(pattern); err != nil {
		return err
	}
	if !strings.HasPrefix(pattern, "^") && !strings.HasPrefix(pattern, "//") && !strings.HasSuffix(pattern, "$") {
		return fmt.Errorf("must start with ^ or //, or end with $")
	}
	return nil
}

func (a *Authentication) validate(at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if a.ConfigFile != "" && a.AnonymousPaths != nil {
		errs = append(errs, field.Forbidden(at.Child("anonymousPaths"), "configFile says who may be anonymous"))
	}
	for i, p := range a.AnonymousPaths {
		if p != "*" && (!strings.HasPrefix(p, "/") || path.Clean(p) != p) {
			errs = append(errs, field.Invalid(at.Child("anonymousPaths").Index(i), p, `must be "*" or a clean path that starts with /`))
		}
	}
	if slices.Contains(a.AnonymousPaths, "*") && len(a.AnonymousPaths) > 1 {
		errs = append(errs, field.Invalid(at.Child("anonymousPaths"), a.AnonymousPaths, `"*" must stand alone`))
	}
	errs = append(errs, a.OIDC.validate(at.Child("oidc"))...)
	if a.OIDC.IssuerURL != "" && a.ConfigFile != "" {
		errs = append(errs, field.Forbidden(at.Child("oidc"), "configFile names the issuers"))
	}
	errs = append(errs, a.TokenWebhook.validate(at.Child("tokenWebhook"))...)
	return append(errs, a.RequestHeader.validate(at.Child("requestHeader"))...)
}

func (w *TokenWebhook) validate(at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if versions := []string{"v1", "v1beta1"}; !slices.Contains(versions, w.Version) {
		errs = append(errs, field.NotSupported(at.Child("version"), w.Version, versions))
	}
	if w.CacheTTL.Duration < 0 {
		errs = append(errs, field.Invalid(at.Child("cacheTTL"), w.CacheTTL.Duration.String(), "must not be negative"))
	}
	return errs
}

func (h *RequestHeader) validate(at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for name, headers := range map[string][]string{
		"usernameHeaders": h.UsernameHeaders, "uidHeaders": h.UIDHeaders,
		"groupHeaders": h.GroupHeaders, "extraHeaderPrefixes": h.ExtraHeaderPrefixes,
	} {
		for i, header := range headers {
			if strings.TrimSpace(header) == "" {
				errs = append(errs, field.Invalid(at.Child(name).Index(i), header, "must not be empty"))
			}
		}
	}
	if len(h.AllowedNames) > 0 && h.ClientCAFile == "" {
		errs = append(errs, field.Required(at.Child("clientCAFile"), "headers are believed from who has a certificate only"))
	}
	return errs
}

func (a *Admission) validate(at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, name := range a.DisablePlugins {
		if slices.Contains(a.EnablePlugins, name) {
			errs = append(errs, field.Invalid(at.Child("disablePlugins").Index(i), name, "is in enablePlugins too"))
		}
	}
	return errs
}

// deepCopyInto makes out share nothing with a.
func (a *APIServer) deepCopyInto(out *APIServer) {
	*out = *a
	out.Profiling = clonePointer(a.Profiling)
	out.Authentication.BootstrapTokens = clonePointer(a.Authentication.BootstrapTokens)
	out.ServiceAccounts.Audiences = slices.Clone(a.ServiceAccounts.Audiences)
	out.ServiceAccounts.KeyFiles = slices.Clone(a.ServiceAccounts.KeyFiles)
	out.CORSAllowedOrigins = slices.Clone(a.CORSAllowedOrigins)
	out.Authentication.AnonymousPaths = slices.Clone(a.Authentication.AnonymousPaths)
	in, h := a.Authentication.RequestHeader, &out.Authentication.RequestHeader
	h.AllowedNames, h.UsernameHeaders, h.UIDHeaders = slices.Clone(in.AllowedNames), slices.Clone(in.UsernameHeaders), slices.Clone(in.UIDHeaders)
	h.GroupHeaders, h.ExtraHeaderPrefixes = slices.Clone(in.GroupHeaders), slices.Clone(in.ExtraHeaderPrefixes)
	out.RuntimeConfig = maps.Clone(a.RuntimeConfig)
	out.Admission.EnablePlugins = slices.Clone(a.Admission.EnablePlugins)
	out.Admission.DisablePlugins = slices.Clone(a.Admission.DisablePlugins)
	out.Admission.NotReadyTolerationSeconds = clonePointer(a.Admission.NotReadyTolerationSeconds)
	out.Admission.UnreachableTolerationSeconds = clonePointer(a.Admission.UnreachableTolerationSeconds)
	out.ServiceAccounts.AcceptedIssuers = slices.Clone(a.ServiceAccounts.AcceptedIssuers)
	out.ServiceAccounts.ExtendTokenExpiration = clonePointer(a.ServiceAccounts.ExtendTokenExpiration)
	out.Authentication.OIDC.RequiredClaims = maps.Clone(a.Authentication.OIDC.RequiredClaims)
	out.Authentication.OIDC.SigningAlgs = slices.Clone(a.Authentication.OIDC.SigningAlgs)
	out.Authorization.Modes = slices.Clone(a.Authorization.Modes)
	out.Authorization.Webhook.AuthorizedTTL = clonePointer(a.Authorization.Webhook.AuthorizedTTL)
	out.Authorization.Webhook.UnauthorizedTTL = clonePointer(a.Authorization.Webhook.UnauthorizedTTL)
	out.Audit.LogBatch.Throttle, out.Audit.WebhookBatch.Throttle = clonePointer(a.Audit.LogBatch.Throttle), clonePointer(a.Audit.WebhookBatch.Throttle)
	out.Kubelet.PreferredAddressTypes = slices.Clone(a.Kubelet.PreferredAddressTypes)
	out.TLS.CipherSuites, out.TLS.CurvePreferences = slices.Clone(a.TLS.CipherSuites), slices.Clone(a.TLS.CurvePreferences)
	out.TLS.SNICertificates = slices.Clone(a.TLS.SNICertificates)
	for i := range out.TLS.SNICertificates {
		out.TLS.SNICertificates[i].Names = slices.Clone(a.TLS.SNICertificates[i].Names)
	}
	out.StrictTransportSecurity = slices.Clone(a.StrictTransportSecurity)
}

func clonePointer[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}
