package dynamicresources

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// asking is a container that asks for so many devices; "+" before its name makes
// an init container of it, "~" a sidecar.
func asking(pod *v1.Pod, name string, count int64) {
	const device = v1.ResourceName("example.com/gpu")
	always := v1.ContainerRestartPolicyAlways
	c := v1.Container{Name: name[1:], Resources: v1.ResourceRequirements{Requests: v1.ResourceList{v1.ResourceCPU: resource.MustParse("1")}}}
	if count > 0 {
		c.Resources.Requests[device] = *resource.NewQuantity(count, resource.DecimalSI)
	}
	switch name[0] {
	case '~':
		c.RestartPolicy = &always
		fallthrough
	case '+':
		pod.Spec.InitContainers = append(pod.Spec.InitContainers, c)
	default:
		pod.Spec.Containers = append(pod.Spec.Containers, c)
	}
}

func TestRequestsOfContainers(t *testing.T) {
	type ask struct {
		name  string
		count int64
	}
	for name, tc := range map[string]struct {
		asks []ask
		want []string
	}{
		"one":             {[]ask{{" a", 2}}, []string{"container-0-request-1 2", "a>container-0-request-1"}},
		"two":             {[]ask{{" a", 2}, {" none", 0}, {" b", 1}}, []string{"container-0-request-1 2", "container-2-request-1 1", "a>container-0-request-1", "b>container-2-request-1"}},
		"init uses later": {[]ask{{"+i", 2}, {" a", 2}}, []string{"container-1-request-1 2", "a>container-1-request-1", "i>container-1-request-1"}},
		"init needs more": {[]ask{{"+i", 3}, {" a", 2}},
			[]string{"container-0-request-1 1", "container-1-request-1 2", "a>container-1-request-1", "i>container-1-request-1", "i>container-0-request-1"}},
		"inits share": {[]ask{{"+i", 1}, {"+j", 3}, {" none", 0}},
			[]string{"container-1-request-1 3", "i>container-1-request-1", "j>container-1-request-1"}},
		"not a sidecar before": {[]ask{{"~s", 1}, {"+i", 1}, {" none", 0}},
			[]string{"container-1-request-1 1", "container-0-request-1 1", "s>container-0-request-1", "i>container-1-request-1"}},
	} {
		t.Run(name, func(t *testing.T) {
			pod := &v1.Pod{}
			for _, a := range tc.asks {
				asking(pod, a.name, a.count)
			}
			requests, mappings := requestsFor(pod, "example.com/gpu", "gpu")
			var got []string
			for _, r := range requests {
				got = append(got, fmt.Sprint(r.Name, " ", r.Exactly.Count))
			}
			for _, m := range mappings {
				got = append(got, m.ContainerName+">"+m.RequestName)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
