package certificates

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/apis/certificates"
	"github.com/coracle-k8s/coracle/controllers"
)

// Authority signs certificates.
type Authority interface {
	// Issue completes the template with a serial number, signs it for the key
	// and returns it as PEM.
	Issue(template *x509.Certificate, key any) ([]byte, error)
	// NotAfter is when the authority's own certificate ends.
	NotAfter() time.Time
}

// Authorities hold what the Signer signs with.
type Authorities struct {
	// Clients signs client certificates: of kubernetes.io/kube-apiserver-client and
	// kubernetes.io/kube-apiserver-client-kubelet.
	Clients Authority
	// KubeletServing signs for kubernetes.io/kubelet-serving. It should be another
	// one than API servers are known by: only they honor its certificates.
	KubeletServing Authority
}

func (a Authorities) of(signer string) Authority {
	if signer == certificatesv1.KubeletServingSignerName {
		return a.KubeletServing
	}
	return a.Clients
}

// Signer signs approved requests of the signers kubernetes.io/kubelet-serving,
// kubernetes.io/kube-apiserver-client-kubelet and kubernetes.io/kube-apiserver-client.
type Signer struct {
	client      client.Client
	clock       clock.PassiveClock
	authorities Authorities
}

// NewSigner returns a Signer.
func NewSigner(d controllers.Deps, a Authorities) *Signer {
	return &Signer{client: d.Client, clock: d.Clock, authorities: a}
}

// Reconcile implements reconcile.Reconciler.
func (s *Signer) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	var r certificatesv1.CertificateSigningRequest
	if err := s.client.Get(ctx, req.NamespacedName, &r); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if !toSign(&r) {
		return reconcile.Result{}, nil
	}
	request, err := certificates.Parse(r.Spec.Request)
	if err != nil {
		return reconcile.Result{}, reconcile.TerminalError(fmt.Errorf("unable to parse csr %q: %w", r.Name, err))
	}
	if err := certificates.Acceptable(r.Spec.SignerName, request, r.Spec.Usages); err != nil {
		r.Status.Conditions = append(r.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{
			Type: certificatesv1.CertificateFailed, Status: corev1.ConditionTrue, Reason: "SignerValidationFailure", Message: err.Error(),
		})
	} else if r.Status.Certificate, err = s.sign(request, &r.Spec); err != nil {
		return reconcile.Result{}, fmt.Errorf("error auto signing csr: %w", err)
	}
	if err := s.client.Status().Update(ctx, &r); client.IgnoreNotFound(err) != nil {
		return reconcile.Result{}, fmt.Errorf("error updating signature for csr: %w", err)
	}
	return reconcile.Result{}, nil
}

func (s *Signer) sign(request *x509.CertificateRequest, spec *certificatesv1.CertificateSigningRequestSpec) ([]byte, error) {
	authority := s.authorities.of(spec.SignerName)
	t, err := template(request, spec, defaultLife, s.clock.Now(), authority.NotAfter())
	if err != nil {
		return nil, err
	}
	return authority.Issue(t, request.PublicKey)
}
