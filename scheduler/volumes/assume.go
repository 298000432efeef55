package volumes

import (
	"fmt"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// AssumeVolume uses a changed copy of a volume until an event brings another
// version; it fails if one did already.
func (s *Store) AssumeVolume(pv *v1.PersistentVolume) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.volumes.assume(pv.Name, pv) {
		return fmt.Errorf("assuming persistentvolume %q: it has changed", pv.Name)
	}
	return nil
}

// AssumeClaim is AssumeVolume for claims.
func (s *Store) AssumeClaim(c *v1.PersistentVolumeClaim) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.claims.assume(keyOf(c), c) {
		return fmt.Errorf("assuming persistentvolumeclaim %q: it has changed", c.Name)
	}
	return nil
}

// RestoreVolume ends an assumption.
func (s *Store) RestoreVolume(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.volumes.assumed, name)
}

// RestoreClaim ends an assumption.
func (s *Store) RestoreClaim(key types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.claims.assumed, key)
}

// topic names what a waiter waits for: a claim, or a volume, which has no namespace.
type topic types.NamespacedName

func claimTopic(key types.NamespacedName) topic { return topic(key) }
func volumeTopic(name string) topic             { return topic{Name: name} }

// Watch returns a channel that gets a value, at most one ahead, at every event of one of
// these claims or volumes, or of a volume that one of these claims is to have. stop ends it.
func (s *Store) Watch(claims []types.NamespacedName, volumes []string) (changed <-chan struct{}, stop func()) {
	topics := make([]topic, 0, len(claims)+len(volumes))
	for _, c := range claims {
		topics = append(topics, claimTopic(c))
	}
	for _, v := range volumes {
		topics = append(topics, volumeTopic(v))
	}
	c := make(chan struct{}, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range topics {
		put(s.waiters, t, c, struct{}{})
	}
	return c, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, t := range topics {
			drop(s.waiters, t, c)
		}
	}
}

func (s *Store) wake(t topic) {
	for c := range s.waiters[t] {
		select {
		case c <- struct{}{}:
		default: // it has not looked since the last one
		}
	}
}
