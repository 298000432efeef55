package peers

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis"
)

// identityLabel and identityValue are on Leases of API servers, as upstream.
const identityLabel, identityValue = "apiserver.kubernetes.io/identity", "kube-apiserver"

// Selector selects Leases of API servers.
const Selector = identityLabel + "=" + identityValue

// Config holds what a member is. All fields but Address are required.
type Config struct {
	// Server connects to the member's own API server.
	Server *rest.Config
	// Host is the machine's name, and Instance distinguishes servers on it: it
	// is the same one after a restart.
	Host, Instance string
	// Address is the server's address for pods; not valid if they cannot reach it.
	Address netip.AddrPort
	// LeaseDuration is the time for which a server that died is still led to; whole seconds.
	LeaseDuration time.Duration
	Clock         clock.WithTicker
	// Report is called with errors; the work is tried again.
	Report func(error)
}

// Member is one of several servers: a manager.Runnable.
type Member struct {
	config    Config
	name      string
	holder    string
	leases    coordinationclient.LeaseInterface
	publisher *publisher
	seen      map[string]sight
}

// New makes a member.
func New(c Config) (*Member, error) {
	leases, err := coordinationclient.NewForConfig(c.Server)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	publisher, err := newPublisher(c.Server)
	if err != nil {
		return nil, err
	}
	name := leaseName(c.Host, c.Instance)
	return &Member{config: c, name: name, holder: name + "_" + string(uuid.NewUUID()), leases: leases.Leases(metav1.NamespaceSystem), publisher: publisher}, nil
}

// leaseName has the form of upstream's.
func leaseName(host, instance string) string {
	sum := sha256.Sum256([]byte(host + "\x00" + instance))
	return "apiserver-" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:16]))
}

// leaveTimeout bounds how long a stop waits for the member to be taken away.
const leaveTimeout = 2 * time.Second

// Start implements manager.Runnable: the member is one until ctx ends.
func (m *Member) Start(ctx context.Context) error {
	for ctx.Err() == nil {
		next, err := m.round(ctx)
		if err != nil && ctx.Err() == nil {
			m.config.Report(fmt.Errorf("telling of the servers that live: %w", err))
		}
		timer := m.config.Clock.NewTimer(next)
		select {
		case <-timer.C():
		case <-ctx.Done():
			timer.Stop()
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	if err := m.leave(ctx); err != nil {
		m.config.Report(fmt.Errorf("taking this server's address away, which others do in %s: %w", m.config.LeaseDuration, err))
	}
	return nil
}

// round renews the member's Lease, and publishes the live servers. It returns
// the time until there is something to do again.
func (m *Member) round(ctx context.Context) (time.Duration, error) {
	begun := m.config.Clock.Now()
	wait := pace(m.config.LeaseDuration)
	if err := m.renew(ctx); err != nil {
		return wait, err
	}
	next, err := m.publish(ctx)
	if err != nil {
		return wait, err
	}
	now := m.config.Clock.Now()
	wait -= now.Sub(begun)
	if !next.IsZero() {
		wait = min(wait, next.Sub(now))
	}
	return max(wait, 0), nil
}

func (m *Member) renew(ctx context.Context) error {
	lease, err := m.leases.Get(ctx, m.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = m.leases.Create(ctx, m.lease(&coordinationv1.Lease{}), metav1.CreateOptions{})
	} else if err == nil {
		_, err = m.leases.Update(ctx, m.lease(lease), metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("renewing the Lease %s: %w", m.name, err)
	}
	return nil
}

// lease returns the member's Lease, renewed.
func (m *Member) lease(l *coordinationv1.Lease) *coordinationv1.Lease {
	now := metav1.NewMicroTime(m.config.Clock.Now())
	l.Name = m.name
	metav1.SetMetaDataLabel(&l.ObjectMeta, identityLabel, identityValue)
	metav1.SetMetaDataLabel(&l.ObjectMeta, corev1.LabelHostname, m.config.Host)
	delete(l.Annotations, apis.AnnotationAdvertise)
	if m.config.Address.IsValid() {
		metav1.SetMetaDataAnnotation(&l.ObjectMeta, apis.AnnotationAdvertise, m.config.Address.String())
	}
	if ptr.Deref(l.Spec.HolderIdentity, "") != m.holder {
		l.Spec.HolderIdentity, l.Spec.AcquireTime = &m.holder, &now
	}
	l.Spec.LeaseDurationSeconds, l.Spec.RenewTime = ptr.To(int32(m.config.LeaseDuration/time.Second)), &now
	return l
}

// attempts limits how often publish reads and writes when another server writes in between.
const attempts = 5

// publish writes the addresses of all servers that live, and removes the Leases
// of others. next is when another one may be dead.
func (m *Member) publish(ctx context.Context) (next time.Time, err error) {
	for range attempts {
		if next, err = m.tryPublish(ctx); !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) {
			break
		}
	}
	return next, err
}

func (m *Member) tryPublish(ctx context.Context) (next time.Time, err error) {
	there, err := m.publisher.read(ctx)
	if err != nil {
		return next, err
	}
	list, err := m.leases.List(ctx, metav1.ListOptions{LabelSelector: Selector})
	if err != nil {
		return next, fmt.Errorf("listing the Leases of servers: %w", err)
	}
	var live, dead []coordinationv1.Lease
	m.seen, live, dead, next = look(m.seen, list.Items, m.name, m.config.Clock.Now())
	if all := addresses(live); len(all) > 0 {
		if err := m.publisher.write(ctx, there, all); err != nil {
			return next, err
		}
	}
	var errs []error
	for i := range dead {
		errs = append(errs, m.remove(ctx, &dead[i]))
	}
	return next, errors.Join(errs...)
}

// remove deletes a Lease unless it has changed.
func (m *Member) remove(ctx context.Context, l *coordinationv1.Lease) error {
	err := m.leases.Delete(ctx, l.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &l.UID, ResourceVersion: &l.ResourceVersion}})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("deleting the Lease %s: %w", l.Name, err)
	}
	return nil
}

// leave takes the member's Lease and address away.
func (m *Member) leave(ctx context.Context) error {
	lease, err := m.leases.Get(ctx, m.name, metav1.GetOptions{})
	if err == nil {
		err = m.remove(ctx, lease)
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("deleting the Lease %s: %w", m.name, err)
	}
	_, err = m.publish(ctx)
	return err
}
