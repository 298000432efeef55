package noderestriction

import (
	"context"
	"fmt"
	"slices"
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"
	certificatesv1beta1 "k8s.io/api/certificates/v1beta1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/admission"

	"github.com/coracle-k8s/coracle/apis/certificates"
)

// certificateRequest checks that an agent requests certificates of its pods as
// they are, from signers that they name. A mismatch that an old read may
// explain is an error other than Forbidden, so that the agent tries again.
func (p *Plugin) certificateRequest(ctx context.Context, r *request) error {
	if r.GetOperation() != admission.Create {
		return r.forbid("unexpected operation %v", r.GetOperation())
	}
	if r.GetSubresource() != "" {
		return r.forbid("unexpected subresource %v", r.GetSubresource())
	}
	req, ok := r.GetObject().(*certificatesv1beta1.PodCertificateRequest)
	if !ok {
		return r.forbid("unexpected type %T", r.GetObject())
	}
	spec := &req.Spec
	if string(spec.NodeName) != r.node {
		return r.forbid("PodCertificateRequest.Spec.NodeName=%q, which is not the requesting node %q", spec.NodeName, r.node)
	}
	key := r.GetNamespace() + "/" + spec.PodName
	node, err := p.objects.LiveNode(ctx, r.node)
	if err != nil {
		return unread(r, err, fmt.Sprintf("node %q", r.node))
	}
	if node.UID != spec.NodeUID {
		return fmt.Errorf("PodCertificateRequest for pod %q names node UID %q, inconsistent with the running node (%q)", key, spec.NodeUID, node.UID)
	}
	pod, err := p.objects.LivePod(ctx, r.GetNamespace(), spec.PodName)
	if err != nil {
		return unread(r, err, fmt.Sprintf("pod %q", key))
	}
	if spec.PodUID != pod.UID {
		return fmt.Errorf("PodCertificateRequest for pod %q contains pod UID (%q) which differs from running pod %q", key, spec.PodUID, pod.UID)
	}
	return p.certificateOf(ctx, r, spec, pod)
}

// certificateOf is certificateRequest for a pod that is the one it names.
func (p *Plugin) certificateOf(ctx context.Context, r *request, spec *certificatesv1beta1.PodCertificateRequestSpec, pod *corev1.Pod) error {
	key := r.GetNamespace() + "/" + spec.PodName
	if pod.Spec.NodeName != r.node {
		return r.forbid("pod %q is not running on node %q named in the PodCertificateRequest", key, spec.NodeName)
	}
	if _, isMirror := pod.Annotations[corev1.MirrorPodAnnotationKey]; isMirror {
		return r.forbid("pod %q is a mirror pod", key)
	}
	if spec.ServiceAccountName != pod.Spec.ServiceAccountName {
		return r.forbid("PodCertificateRequest for pod %q contains serviceAccountName (%q) that differs from running pod (%q)", key, spec.ServiceAccountName, pod.Spec.ServiceAccountName)
	}
	account, err := look[*corev1.ServiceAccount](ctx, p, corev1.Resource("serviceaccounts"), r.GetNamespace(), spec.ServiceAccountName)
	if err != nil {
		return unread(r, err, fmt.Sprintf("service account %q", r.GetNamespace()+"/"+spec.ServiceAccountName))
	}
	if spec.ServiceAccountUID != account.UID {
		return fmt.Errorf("PodCertificateRequest for pod %q names service account UID %q, which differs from the running service account (%q)", key, spec.ServiceAccountUID, account.UID)
	}
	if namesSigner(pod, spec.SignerName) {
		return nil
	}
	// Resources in rules have no slashes.
	signer := strings.ReplaceAll(spec.SignerName, "/", ":")
	granted, err := p.granted(ctx, r, "request-serviceaccounts-podcertificate-signer", signer, spec.ServiceAccountName)
	switch {
	case granted:
		return nil
	case err != nil:
		return r.forbid("error authorizing %s to request podcertificaterequests for signer %q: %w", r.GetUserInfo().GetName(), spec.SignerName, err)
	}
	return r.forbid("pod %q does not mount a podCertificate projected volume for signer %q", key, spec.SignerName)
}

func namesSigner(pod *corev1.Pod, signer string) bool {
	return slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool {
		return v.Projected != nil && slices.ContainsFunc(v.Projected.Sources, func(s corev1.VolumeProjection) bool {
			return s.PodCertificate != nil && s.PodCertificate.SignerName == signer
		})
	})
}

// unread refuses, except what is not there yet.
func unread(r *request, err error, what string) error {
	err = fmt.Errorf("while retrieving %s named in the PodCertificateRequest: %w", what, err)
	if apierrors.IsNotFound(err) {
		return err
	}
	return r.forbid("%w", err)
}

// signingRequest refuses an agent's request for a certificate of another node.
// All else is checked by the signer.
func signingRequest(r *request) error {
	if r.GetOperation() != admission.Create {
		return nil
	}
	csr, ok := r.GetObject().(*certificatesv1.CertificateSigningRequest)
	if !ok {
		return r.forbid("unexpected type %T", r.GetObject())
	}
	switch csr.Spec.SignerName {
	case certificatesv1.KubeletServingSignerName, certificatesv1.KubeAPIServerClientKubeletSignerName:
	default:
		return nil
	}
	parsed, err := certificates.Parse(csr.Spec.Request)
	if err != nil {
		return r.forbid("unable to parse csr: %w", err)
	}
	if own := "system:node:" + r.node; parsed.Subject.CommonName != own {
		return r.forbid("can only create a node CSR with CN=%s", own)
	}
	return nil
}
