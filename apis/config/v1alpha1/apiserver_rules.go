package v1alpha1

import (
	"fmt"
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
