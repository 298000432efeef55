package certificates

import (
	"strings"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	certificatesv1beta1 "k8s.io/api/certificates/v1beta1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/randfill"
)

func TestSignerNames(t *testing.T) {
	for name, want := range map[string]string{
		"example.com/x":                       "",
		"kubernetes.io/kube-apiserver-client": "",
		"example.com/ns.name.with.dots":       "",
		"":                                    "Required",
		"example.com":                         "must be a fully qualified domain and path",
		"example.com/a/b":                     "must be a fully qualified domain and path",
		"example/x":                           "should be a domain with at least two segments",
		"-.com/x":                             `validating label "-"`,
		"example.com/" + strings.Repeat("a", 600): "validating label",
	} {
		errs := ValidateSignerName(name, field.NewPath("spec", "signerName"))
		if want == "" && len(errs) > 0 || want != "" && (len(errs) == 0 || !strings.Contains(errs.ToAggregate().Error(), want)) {
			t.Errorf("%q: got %v, want %q", name, errs, want)
		}
	}
}

func TestBundleNames(t *testing.T) {
	for _, c := range []struct {
		signer, name string
		ok           bool
	}{
		{"", "a", true}, {"", "a:b", false}, {"example.com/x", "example.com:x:a", true}, {"example.com/x", "a", false}, {"example.com/x", "example.com:x:", false},
	} {
		if got := bundleName(c.signer)(c.name, false); (len(got) == 0) != c.ok {
			t.Errorf("%q of %q: %v", c.name, c.signer, got)
		}
	}
}

func TestConditionsOfRequests(t *testing.T) {
	with := func(kinds ...certificatesv1.RequestConditionType) *certificatesv1.CertificateSigningRequest {
		r := &certificatesv1.CertificateSigningRequest{}
		for _, k := range kinds {
			r.Status.Conditions = append(r.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{Type: k, Status: "True"})
		}
		return r
	}
	const approved, denied, failed = certificatesv1.CertificateApproved, certificatesv1.CertificateDenied, certificatesv1.CertificateFailed
	type validate = func(r, old *certificatesv1.CertificateSigningRequest) field.ErrorList
	for name, c := range map[string]struct {
		validate validate
		now, old *certificatesv1.CertificateSigningRequest
		want     string
	}{
		"approving":             {ValidateCertificateSigningRequestApprovalUpdate, with(approved), with(), ""},
		"signer approving":      {ValidateCertificateSigningRequestStatusUpdate, with(approved), with(), `updates may not add a condition of type "Approved"`},
		"signer failing":        {ValidateCertificateSigningRequestStatusUpdate, with(approved, failed), with(approved), ""},
		"taking back":           {ValidateCertificateSigningRequestApprovalUpdate, with(), with(approved), `updates may not remove a condition of type "Approved"`},
		"both":                  {ValidateCertificateSigningRequestApprovalUpdate, with(approved, denied), with(approved), "must specify at most one of: `conditions[{\"type\": \"Approved\"}]`, `conditions[{\"type\": \"Denied\"}]`"},
		"both, as before":       {ValidateCertificateSigningRequestApprovalUpdate, with(approved, denied), with(approved, denied), ""},
		"twice":                 {ValidateCertificateSigningRequestApprovalUpdate, with(approved, approved), with(approved), "Duplicate value"},
		"by the request itself": {ValidateCertificateSigningRequestUpdate, with(denied), with(), `updates may not add a condition of type "Denied"`},
	} {
		var got []string
		for _, err := range c.validate(c.now, c.old) {
			if strings.HasPrefix(err.Field, "status") {
				got = append(got, err.Error())
			}
		}
		if text := strings.Join(got, "\n"); c.want == "" && text != "" || !strings.Contains(text, c.want) {
			t.Errorf("%s: got %q, want %q", name, text, c.want)
		}
	}
}

func TestNoPanic(t *testing.T) {
	s := runtime.NewScheme()
	if err := Install(s); err != nil {
		t.Fatal(err)
	}
	for seed := range int64(50) {
		f := randfill.NewWithSeed(seed).NilChance(0.3).NumElements(0, 3).Funcs(func(*metav1.FieldsV1, randfill.Continue) {})
		var r, old certificatesv1.CertificateSigningRequest
		f.Fill(&r)
		f.Fill(&old)
		ValidateCertificateSigningRequest(&r)
		ValidateCertificateSigningRequestUpdate(&r, &old)
		ValidateCertificateSigningRequestStatusUpdate(&r, &old)
		ValidateCertificateSigningRequestApprovalUpdate(&r, &old)
		var b, oldB certificatesv1.ClusterTrustBundle
		f.Fill(&b)
		f.Fill(&oldB)
		ValidateClusterTrustBundle(&b)
		ValidateClusterTrustBundleUpdate(&b, &oldB)
		var p, oldP certificatesv1beta1.PodCertificateRequest
		f.Fill(&p)
		f.Fill(&oldP)
		s.Default(&p)
		ValidatePodCertificateRequest(&p)
		ValidatePodCertificateRequestUpdate(&p, &oldP)
		ValidatePodCertificateRequestStatusUpdate(&p, &oldP, time.Unix(0, 0))
	}
}
