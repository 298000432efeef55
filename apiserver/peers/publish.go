package peers

import (
	"context"
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"
	discoveryclient "k8s.io/client-go/kubernetes/typed/discovery/v1"
	"k8s.io/client-go/rest"
)

// publisher writes where the servers are.
type publisher struct {
	endpoints coreclient.EndpointsInterface
	slices    discoveryclient.EndpointSliceInterface
}

func newPublisher(config *rest.Config) (*publisher, error) {
	core, err := coreclient.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	discovery, err := discoveryclient.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	return &publisher{core.Endpoints(metav1.NamespaceDefault), discovery.EndpointSlices(metav1.NamespaceDefault)}, nil
}

// published holds the objects that are stored; nil for those that are not.
type published struct {
	endpoints *corev1.Endpoints
	slices    map[string]*discoveryv1.EndpointSlice
}

// Publish makes the Service kubernetes lead to one server, which is the only one.
func Publish(ctx context.Context, config *rest.Config, at netip.AddrPort) error {
	p, err := newPublisher(config)
	if err != nil {
		return err
	}
	there, err := p.readFirst(ctx)
	if err != nil {
		return err
	}
	return p.write(ctx, there, []netip.AddrPort{at})
}

// readFirst reads by name, which costs a starting server least.
func (p *publisher) readFirst(ctx context.Context) (*published, error) {
	there := &published{slices: map[string]*discoveryv1.EndpointSlice{}}
	var err error
	if there.endpoints, err = p.readEndpoints(ctx); err != nil {
		return nil, err
	}
	slice, err := p.slices.Get(ctx, ServiceName, metav1.GetOptions{})
	if err == nil {
		there.slices[ServiceName] = slice
	} else if !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("reading the EndpointSlice of %s: %w", ServiceName, err)
	}
	return there, nil
}

func (p *publisher) readEndpoints(ctx context.Context) (*corev1.Endpoints, error) {
	endpoints, err := p.endpoints.Get(ctx, ServiceName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the endpoints of %s: %w", ServiceName, err)
	}
	return endpoints, nil
}

// read reads everything that servers ever wrote.
func (p *publisher) read(ctx context.Context) (*published, error) {
	there := &published{slices: map[string]*discoveryv1.EndpointSlice{}}
	var err error
	if there.endpoints, err = p.readEndpoints(ctx); err != nil {
		return nil, err
	}
	list, err := p.slices.List(ctx, metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + ServiceName})
	if err != nil {
		return nil, fmt.Errorf("reading the EndpointSlices of %s: %w", ServiceName, err)
	}
	for i := range list.Items {
		there.slices[list.Items[i].Name] = &list.Items[i]
	}
	return there, nil
}

// write replaces the stored objects, where they differ, by sorted addresses. An error
// that IsConflict or IsAlreadyExists means that another server wrote meanwhile.
func (p *publisher) write(ctx context.Context, there *published, all []netip.AddrPort) error {
	if err := p.writeEndpoints(ctx, there.endpoints, subsets(all)); err != nil {
		return fmt.Errorf("publishing the endpoints of %s: %w", ServiceName, err)
	}
	over := map[string]*discoveryv1.EndpointSlice{}
	for name, s := range there.slices {
		over[name] = s
	}
	for _, want := range endpointSlices(all) {
		if err := p.writeSlice(ctx, there.slices[want.Name], want); err != nil {
			return fmt.Errorf("publishing the EndpointSlice %s: %w", want.Name, err)
		}
		delete(over, want.Name)
	}
	for name, s := range over {
		if err := p.deleteSlice(ctx, s); err != nil {
			return fmt.Errorf("deleting the EndpointSlice %s: %w", name, err)
		}
	}
	return nil
}

func (p *publisher) writeEndpoints(ctx context.Context, got *corev1.Endpoints, want []corev1.EndpointSubset) error {
	if got == nil {
		_, err := p.endpoints.Create(ctx, &corev1.Endpoints{
			ObjectMeta: metav1.ObjectMeta{Name: ServiceName, Labels: map[string]string{discoveryv1.LabelSkipMirror: "true"}}, Subsets: want,
		}, metav1.CreateOptions{})
		return err
	}
	if equality.Semantic.DeepEqual(got.Subsets, want) {
		return nil
	}
	got = got.DeepCopy()
	got.Subsets = want
	_, err := p.endpoints.Update(ctx, got, metav1.UpdateOptions{})
	return err
}

func (p *publisher) writeSlice(ctx context.Context, got, want *discoveryv1.EndpointSlice) error {
	if got != nil && got.AddressType != want.AddressType { // which cannot be changed
		if err := p.deleteSlice(ctx, got); err != nil {
			return err
		}
		got = nil
	}
	if got == nil {
		_, err := p.slices.Create(ctx, want, metav1.CreateOptions{})
		return err
	}
	if equality.Semantic.DeepEqual(got.Endpoints, want.Endpoints) && equality.Semantic.DeepEqual(got.Ports, want.Ports) {
		return nil
	}
	got = got.DeepCopy()
	got.Endpoints, got.Ports = want.Endpoints, want.Ports
	_, err := p.slices.Update(ctx, got, metav1.UpdateOptions{})
	return err
}

func (p *publisher) deleteSlice(ctx context.Context, s *discoveryv1.EndpointSlice) error {
	err := p.slices.Delete(ctx, s.Name, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(s.UID))})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
