package discovery

import (
	"strings"
	"testing"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

func TestValidateEndpointSlice(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*discoveryv1.EndpointSlice)
		want   string
	}{
		{"good", func(*discoveryv1.EndpointSlice) {}, ""},
		{"no type", func(s *discoveryv1.EndpointSlice) { s.AddressType = "" }, "addressType: Required value"},
		{"no address", func(s *discoveryv1.EndpointSlice) { s.Endpoints[0].Addresses = nil }, "endpoints[0].addresses: Required value"},
		{"other family", func(s *discoveryv1.EndpointSlice) { s.Endpoints[0].Addresses = []string{"fd00::1"} }, `endpoints[0].addresses: Invalid value: "fd00::1": must be an IPv4 address`},
		{"loopback", func(s *discoveryv1.EndpointSlice) { s.Endpoints[0].Addresses = []string{"127.0.0.1"} },
			`endpoints[0].addresses[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)`},
		{"port names", func(s *discoveryv1.EndpointSlice) {
			s.Ports = []discoveryv1.EndpointPort{{Port: ptr.To(int32(1))}, {Port: ptr.To(int32(2))}}
		}, `ports[1].name: Duplicate value: ""`},
		{"hints", func(s *discoveryv1.EndpointSlice) {
			s.Endpoints[0].Hints = &discoveryv1.EndpointHints{ForZones: []discoveryv1.ForZone{{Name: "a"}, {Name: "a"}}}
		}, `endpoints[0].hints.forZones[1].name: Duplicate value: "a"`},
	} {
		s := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Name: "x", Namespace: "default"}, AddressType: discoveryv1.AddressTypeIPv4,
			Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.1"}}}}
		c.change(s)
		SetDefaultsEndpointSlice(s)
		var got []string
		for _, e := range ValidateEndpointSlice(s) {
			got = append(got, e.Error())
		}
		if strings.Join(got, "\n") != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}
