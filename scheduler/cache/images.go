package cache

import (
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	fwk "k8s.io/kube-scheduler/framework"
)

// images holds which nodes have which image. Its summaries are live: only the
// cache reads them. A Snapshot has its own (see Snapshot.imageSummary).
type images struct {
	byName map[string]*fwk.ImageStateSummary
	// dirty names changed since the last snapshot took them over.
	dirty sets.Set[string]
}

func newImages() images {
	return images{byName: map[string]*fwk.ImageStateSummary{}, dirty: sets.New[string]()}
}

// set makes node's images the given ones and returns the node's states; have
// holds its states before. An unchanged list returns have itself.
func (im *images) set(nodeName string, list []v1.ContainerImage, have map[string]*fwk.ImageStateSummary) map[string]*fwk.ImageStateSummary {
	states := map[string]*fwk.ImageStateSummary{}
	for i := range list {
		for _, name := range list[i].Names {
			s, ok := im.byName[name]
			if !ok {
				s = &fwk.ImageStateSummary{Size: list[i].SizeBytes, Nodes: sets.New[string]()}
				im.byName[name] = s
			}
			if !s.Nodes.Has(nodeName) {
				s.Nodes.Insert(nodeName)
				im.dirty.Insert(name)
			}
			states[name] = s
		}
	}
	for name := range have {
		if _, still := states[name]; !still {
			im.drop(nodeName, name)
		}
	}
	return states
}

// remove forgets that node has any of these images.
func (im *images) remove(nodeName string, have map[string]*fwk.ImageStateSummary) {
	for name := range have {
		im.drop(nodeName, name)
	}
}

func (im *images) drop(nodeName, name string) {
	s, ok := im.byName[name]
	if !ok {
		return
	}
	s.Nodes.Delete(nodeName)
	im.dirty.Insert(name)
	if s.Nodes.Len() == 0 {
		delete(im.byName, name)
	}
}

func sameImages(list []v1.ContainerImage, have map[string]*fwk.ImageStateSummary) bool {
	n := 0
	for i := range list {
		for _, name := range list[i].Names {
			if _, ok := have[name]; !ok {
				return false
			}
			n++
		}
	}
	return n == len(have)
}
