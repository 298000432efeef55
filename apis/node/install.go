// Package node installs, defaults and validates the node.k8s.io group.
package node

import (
	"fmt"

	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/coracle-k8s/coracle/apis/core"
	"github.com/coracle-k8s/coracle/apis/hub"
)

// Install registers node.k8s.io/v1, its hub and its defaults in s.
func Install(s *runtime.Scheme) error {
	if err := nodev1.AddToScheme(s); err != nil {
		return fmt.Errorf("registering %s: %w", nodev1.SchemeGroupVersion, err)
	}
	s.AddTypeDefaultingFunc(&nodev1.RuntimeClass{}, func(obj any) { setDefaults(obj.(*nodev1.RuntimeClass)) })
	s.AddTypeDefaultingFunc(&nodev1.RuntimeClassList{}, func(obj any) {
		list := obj.(*nodev1.RuntimeClassList)
		for i := range list.Items {
			setDefaults(&list.Items[i])
		}
	})
	return hub.Add(s, nodev1.SchemeGroupVersion)
}

func setDefaults(c *nodev1.RuntimeClass) {
	if c.Overhead != nil {
		core.RoundResources(c.Overhead.PodFixed)
	}
}
