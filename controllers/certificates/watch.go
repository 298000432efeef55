package certificates

import (
	certificatesv1 "k8s.io/api/certificates/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"errors"
)

// SetupWithManager wakes the Approver for every request.
func (a *Approver) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).Named(ApproverName).
		For(&certificatesv1.CertificateSigningRequest{}).WithOptions(opts).Complete(a)
}

// SetupWithManager wakes the Cleaner for every request of either kind.
func (c *Cleaner) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	return errors.Join(
		ctrl.NewControllerManagedBy(mgr).Named(CleanerName).
			For(&certificatesv1.CertificateSigningRequest{}).WithOptions(opts).Complete(c),
		ctrl.NewControllerManagedBy(mgr).Named("podcertificaterequest-cleaner-controller").
			For(&certificatesv1.PodCertificateRequest{}).WithOptions(opts).Complete(reconcile.Func(c.cleanPodRequest)),
	)
}

// SetupWithManager wakes the Signer for every request.
func (s *Signer) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).Named(SignerName).
		For(&certificatesv1.CertificateSigningRequest{}).WithOptions(opts).Complete(s)
}
