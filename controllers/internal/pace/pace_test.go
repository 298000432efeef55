package pace

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

func TestDelay(t *testing.T) {
	clk := testingclock.NewFakePassiveClock(time.Unix(100, 0))
	p := New(clk, 40*time.Millisecond)
	req := reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "ns", Name: "a"}}
	want := func(what string, d time.Duration) {
		t.Helper()
		if got := p.Delay(req); got != d {
			t.Errorf("%s: delay %v, want %v", what, got, d)
		}
	}
	want("never reconciled", 0)
	p.Mark(req)
	want("just reconciled", 40*time.Millisecond)
	clk.SetTime(clk.Now().Add(30 * time.Millisecond))
	want("30 ms later", 10*time.Millisecond)
	clk.SetTime(clk.Now().Add(30 * time.Millisecond))
	want("60 ms later", 0)
	clk.SetTime(clk.Now().Add(-time.Hour))
	want("the clock went back", 40*time.Millisecond)
	p.Forget(req)
	want("forgotten", 0)
}
