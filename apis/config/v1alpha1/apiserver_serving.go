package v1alpha1

import (
	"regexp"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"
	cliflag "k8s.io/component-base/cli/flag"
)

// directive is one that the header Strict-Transport-Security may have.
var directive = regexp.MustCompile(`^(max-age=[0-9]+|includeSubDomains|preload)$`)

// mostGoaways is upstream's bound: clients of one server would do nothing but
// connect.
const mostGoaways = 0.02

// validateServing checks how connections are served.
func (a *APIServer) validateServing(at *field.Path) field.ErrorList {
	errs := a.TLS.validate(at.Child("tls"))
	errs = append(errs, pair(at.Child("proxy"), a.Proxy.CertFile, a.Proxy.KeyFile)...)
	errs = append(errs, pair(at.Child("kubelet"), a.Kubelet.CertFile, a.Kubelet.KeyFile)...)
	if len(a.Kubelet.PreferredAddressTypes) == 0 {
		errs = append(errs, field.Required(at.Child("kubelet", "preferredAddressTypes"), "agents have an address"))
	}
	if a.HTTP2.GoawayChance < 0 || a.HTTP2.GoawayChance > mostGoaways {
		errs = append(errs, field.Invalid(at.Child("http2", "goawayChance"), a.HTTP2.GoawayChance, "must be between 0 and 0.02"))
	}
	if a.HTTP2.MaxStreamsPerConnection < 1 {
		errs = append(errs, field.Invalid(at.Child("http2", "maxStreamsPerConnection"), a.HTTP2.MaxStreamsPerConnection, "must be at least 1"))
	}
	for i, d := range a.StrictTransportSecurity {
		if !directive.MatchString(d) {
			errs = append(errs, field.Invalid(at.Child("strictTransportSecurity").Index(i), d, "must be max-age=SECONDS, includeSubDomains or preload"))
		}
	}
	if a.DeleteCollectionWorkers < 1 {
		errs = append(errs, field.Invalid(at.Child("deleteCollectionWorkers"), a.DeleteCollectionWorkers, "must be at least 1"))
	}
	for _, d := range []struct {
		name         string
		value, least time.Duration
	}{
		{"eventTTL", a.EventTTL.Duration, time.Second}, {"minRequestTimeout", a.MinRequestTimeout.Duration, time.Second},
		{"shutdownDelay", a.ShutdownDelay.Duration, 0}, {"livezGracePeriod", a.LivezGracePeriod.Duration, 0},
	} {
		if d.value < d.least {
			errs = append(errs, field.Invalid(at.Child(d.name), d.value.String(), "must be at least "+d.least.String()))
		}
	}
	return errs
}

func (t *TLS) validate(at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if _, err := cliflag.TLSVersion(t.MinVersion); err != nil {
		errs = append(errs, field.NotSupported(at.Child("minVersion"), t.MinVersion, cliflag.TLSPossibleVersions()))
	}
	for i, suite := range t.CipherSuites {
		if _, err := cliflag.TLSCipherSuites([]string{suite}); err != nil {
			errs = append(errs, field.NotSupported(at.Child("cipherSuites").Index(i), suite, cliflag.TLSCipherPossibleValues()))
		}
	}
	for i, curve := range t.CurvePreferences {
		if _, err := cliflag.TLSCurvePreferences([]int32{curve}); err != nil {
			errs = append(errs, field.Invalid(at.Child("curvePreferences").Index(i), curve, err.Error()))
		}
	}
	for i, c := range t.SNICertificates {
		path := at.Child("sniCertificates").Index(i)
		if c.CertFile == "" || c.KeyFile == "" {
			errs = append(errs, field.Required(path, "certFile and keyFile are needed"))
		}
	}
	return errs
}
