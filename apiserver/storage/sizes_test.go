package storage

import (
	"context"
	"errors"
	"testing"
	"time"

	"k8s.io/apiserver/pkg/storage"
	fcrequest "k8s.io/apiserver/pkg/util/flowcontrol/request"
	clocktesting "k8s.io/utils/clock/testing"
)

// counted is a storage that grows by an object each time it is asked.
type counted struct {
	asked int64
	err   error
}

func (c *counted) Stats(context.Context) (storage.Stats, error) {
	c.asked++
	return storage.Stats{ObjectCount: c.asked, EstimatedAverageObjectSizeBytes: 10}, c.err
}

func TestSizes(t *testing.T) {
	now := clocktesting.NewFakeClock(time.Unix(1000, 0))
	s := newSizes(now)
	expect := func(when string, count int64, want error) {
		t.Helper()
		if got, err := s.get("pods"); got.ObjectCount != count || !errors.Is(err, want) {
			t.Errorf("%s: %d objects, %v; want %d, %v", when, got.ObjectCount, err, count, want)
		}
	}
	expect("not open", 0, fcrequest.ObjectCountNotFoundErr)
	pods := &counted{err: errors.New("the cache is not filled")}
	remove := s.add("pods", pods)
	expect("no answer yet", 0, fcrequest.ObjectCountNotFoundErr)
	pods.err = nil
	now.Step(sizeAge + 1)
	expect("first answer", 2, nil)
	expect("asked again", 2, nil)
	now.Step(sizeAge + 1)
	expect("asked again later", 3, nil)
	pods.err = errors.New("etcd does not answer")
	now.Step(sizeAge + 1)
	expect("an error keeps what was known", 3, nil)
	now.Step(sizeAge + 1)
	s.of["pods"].refresh.Lock()
	expect("another request asks", 3, nil)
	s.of["pods"].refresh.Unlock()
	newer := s.add("pods", &counted{})
	remove()
	expect("opened again", 1, nil)
	newer()
	expect("closed", 0, fcrequest.ObjectCountNotFoundErr)
}
