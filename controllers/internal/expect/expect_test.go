package expect

import (
	"testing"
	"time"

	testingclock "k8s.io/utils/clock/testing"
)

func TestCreationsAndDeletionsMustAllBeObserved(t *testing.T) {
	tr := New(testingclock.NewFakePassiveClock(time.Unix(0, 0)))
	if !tr.Satisfied("a") {
		t.Fatal("nothing was expected")
	}
	tr.ExpectCreations("a", 2)
	tr.ExpectDeletions("a", "p1")
	tr.CreationsObserved("a", 1)
	tr.DeletionObserved("a", "other")
	if tr.Satisfied("a") {
		t.Fatal("one creation and one deletion are outstanding")
	}
	tr.CreationsObserved("a", 1)
	if tr.Satisfied("a") {
		t.Fatal("one deletion is outstanding")
	}
	tr.DeletionObserved("a", "p1")
	if !tr.Satisfied("a") {
		t.Fatal("everything was observed")
	}
	if len(tr.byOwner) != 0 {
		t.Fatalf("met expectations must not be kept: %v", tr.byOwner)
	}
}

func TestSurplusObservationsDoNotPayForLaterCreations(t *testing.T) {
	tr := New(testingclock.NewFakePassiveClock(time.Unix(0, 0)))
	tr.CreationsObserved("a", 3)
	tr.ExpectCreations("a", 1)
	if tr.Satisfied("a") {
		t.Fatal("objects seen before the expectation must not meet it")
	}
}

func TestUnmetExpectationsExpire(t *testing.T) {
	clk := testingclock.NewFakePassiveClock(time.Unix(0, 0))
	tr := New(clk)
	tr.ExpectCreations("a", 5)
	clk.SetTime(clk.Now().Add(Timeout + time.Second))
	if !tr.Satisfied("a") {
		t.Fatal("expected to expire")
	}
	tr.ExpectCreations("a", 1)
	tr.CreationsObserved("a", 1)
	if !tr.Satisfied("a") {
		t.Fatal("a new expectation must not inherit the expired one")
	}
}

func TestForget(t *testing.T) {
	tr := New(testingclock.NewFakePassiveClock(time.Unix(0, 0)))
	tr.ExpectDeletions("a", "p1")
	tr.Forget("a")
	if !tr.Satisfied("a") {
		t.Fatal("forgotten expectations must not count")
	}
}
