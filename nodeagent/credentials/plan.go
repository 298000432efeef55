package credentials

import (
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// source names one podCertificate source of a pod.
type source struct {
	volume string
	index  int
}

// credential is the state of one podCertificate source.
type credential struct {
	// key and chain are PEM, nil before the first certificate.
	key, chain          []byte
	refreshAt, notAfter time.Time
	// request is the name of the request that is waited for and requestKey the
	// key it is for; empty while there is none.
	request    string
	requestKey []byte
	// refused is final.
	refused error
	// toldOverdue and toldExpired are set once the event was sent.
	toldOverdue, toldExpired bool
}

// event is a warning about the pod.
type event struct{ reason, message string }

const (
	// overdueAfter is the time after which a late refresh is reported as overdue.
	overdueAfter = 10 * time.Minute
	// maxJitter keeps pods that started together from refreshing together.
	// Certificates live at least 10 minutes beyond the time of their refresh.
	maxJitter = 5 * time.Minute
)

var errNotIssued = errors.New("credential bundle is not issued yet")

// step takes the credential's request (nil: it is gone) and returns the
// credential after it, whether to make a new request, and the events to send.
func step(c credential, request *certificatesv1.PodCertificateRequest, jitter time.Duration, now time.Time) (next credential, ask bool, events []event) {
	if c.request != "" {
		if request == nil {
			c.request, c.requestKey = "", nil
		} else {
			c, events = answered(c, request, jitter)
		}
	}
	if c.refused != nil {
		return c, false, events
	}
	if c.chain != nil && !c.toldOverdue && now.After(c.refreshAt.Add(overdueAfter)) {
		c.toldOverdue = true
		events = append(events, event{"CertificateOverdueForRefresh", "PodCertificate refresh overdue"})
	}
	if c.chain != nil && !c.toldExpired && now.After(c.notAfter) {
		c.toldExpired = true
		events = append(events, event{"CertificateExpired", "PodCertificate expired"})
	}
	return c, c.request == "" && (c.chain == nil || !now.Before(c.refreshAt)), events
}

// answered takes the signer's answer, if there is one.
func answered(c credential, r *certificatesv1.PodCertificateRequest, jitter time.Duration) (credential, []event) {
	verdict := verdictOf(r)
	if verdict == nil {
		return c, nil
	}
	name := r.Namespace + "/" + r.Name
	switch verdict.Type {
	case certificatesv1.PodCertificateRequestConditionTypeDenied:
		return credential{refused: fmt.Errorf("PodCertificateRequest was permanently denied: reason=%q message=%q", verdict.Reason, verdict.Message)},
			[]event{{verdict.Type, fmt.Sprintf("PodCertificateRequest %s was denied, reason=%q, message=%q", name, verdict.Reason, verdict.Message)}}
	case certificatesv1.PodCertificateRequestConditionTypeFailed:
		return credential{refused: fmt.Errorf("PodCertificateRequest was permanently failed: reason=%q message=%q", verdict.Reason, verdict.Message)},
			[]event{{verdict.Type, fmt.Sprintf("PodCertificateRequest %s failed, reason=%q, message=%q", name, verdict.Reason, verdict.Message)}}
	}
	return credential{
		key: c.requestKey, chain: normalize(r.Status.CertificateChain),
		refreshAt: r.Status.BeginRefreshAt.Add(jitter), notAfter: r.Status.NotAfter.Time,
	}, nil
}

// verdictOf returns the condition that ends a request, nil before its end.
func verdictOf(r *certificatesv1.PodCertificateRequest) *metav1.Condition {
	for i := range r.Status.Conditions {
		c := &r.Status.Conditions[i]
		switch c.Type {
		case certificatesv1.PodCertificateRequestConditionTypeDenied, certificatesv1.PodCertificateRequestConditionTypeFailed:
			return c
		case certificatesv1.PodCertificateRequestConditionTypeIssued:
			if r.Status.BeginRefreshAt != nil && r.Status.NotAfter != nil {
				return c
			}
		}
	}
	return nil
}

// bundle returns key and chain for the pod, or why there are none.
func (c *credential) bundle() (key, chain []byte, err error) {
	switch {
	case c.refused != nil:
		return nil, nil, c.refused
	case c.chain == nil:
		return nil, nil, errNotIssued
	}
	return c.key, c.chain, nil
}

// nextLook returns when time alone changes something; zero: never.
func (c *credential) nextLook() time.Time {
	switch {
	case c.refused != nil || c.chain == nil:
		return time.Time{}
	case c.request == "":
		return c.refreshAt
	case !c.toldOverdue && c.refreshAt.Add(overdueAfter).Before(c.notAfter):
		return c.refreshAt.Add(overdueAfter + time.Nanosecond)
	case !c.toldExpired:
		return c.notAfter.Add(time.Nanosecond)
	case !c.toldOverdue:
		return c.refreshAt.Add(overdueAfter + time.Nanosecond)
	}
	return time.Time{}
}

// jitterOf spreads refreshes evenly, the same way at every look.
func jitterOf(pod types.UID, s source) time.Duration {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s/%s/%d", pod, s.volume, s.index)
	return time.Duration(h.Sum64() % uint64(maxJitter))
}
