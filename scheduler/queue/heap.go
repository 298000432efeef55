package queue

import "container/heap"

// podHeap orders pods by less and keeps the index of each.
type podHeap struct{ items podSlice }

type podSlice struct {
	pods []*Pod
	less func(a, b *Pod) bool
}

func newHeap(less func(a, b *Pod) bool) *podHeap { return &podHeap{podSlice{less: less}} }

func (h *podHeap) push(p *Pod)   { heap.Push(&h.items, p) }
func (h *podHeap) pop() *Pod     { return heap.Pop(&h.items).(*Pod) }
func (h *podHeap) remove(p *Pod) { heap.Remove(&h.items, p.index) }
func (h *podHeap) fix(p *Pod)    { heap.Fix(&h.items, p.index) }
func (h *podHeap) len() int      { return len(h.items.pods) }
func (h *podHeap) peek() *Pod    { return h.items.pods[0] }

func (s *podSlice) Len() int           { return len(s.pods) }
func (s *podSlice) Less(i, j int) bool { return s.less(s.pods[i], s.pods[j]) }
func (s *podSlice) Swap(i, j int) {
	s.pods[i], s.pods[j] = s.pods[j], s.pods[i]
	s.pods[i].index, s.pods[j].index = i, j
}
func (s *podSlice) Push(x any) {
	p := x.(*Pod)
	p.index = len(s.pods)
	s.pods = append(s.pods, p)
}
func (s *podSlice) Pop() any {
	last := len(s.pods) - 1
	p := s.pods[last]
	s.pods[last] = nil
	s.pods = s.pods[:last]
	return p
}
