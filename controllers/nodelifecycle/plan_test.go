package nodelifecycle

import (
	"fmt"
	"math/rand"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var epoch = time.Unix(1000, 0)

func node(name string, ready corev1.ConditionStatus) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(epoch)}}
	if ready != "" {
		n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready, LastHeartbeatTime: metav1.NewTime(epoch)}}
	}
	return n
}

func TestHealth(t *testing.T) {
	for name, tc := range map[string]struct {
		node   *corev1.Node
		after  time.Duration
		reason string
		count  int
	}{
		"in time":              {node("n", corev1.ConditionTrue), 39 * time.Second, "", 0},
		"silent":               {node("n", corev1.ConditionTrue), 40 * time.Second, "NodeStatusUnknown", 4},
		"silent and not ready": {node("n", corev1.ConditionFalse), time.Minute, "NodeStatusUnknown", 4},
		"known to be silent":   {node("n", corev1.ConditionUnknown), time.Minute, "", 3},
		"never reported":       {node("n", ""), time.Minute, "NodeStatusNeverUpdated", 4},
	} {
		t.Run(name, func(t *testing.T) {
			changed, until := health(tc.node, epoch, epoch.Add(tc.after), 40*time.Second)
			if len(changed) != tc.count {
				t.Fatalf("changes %+v", changed)
			}
			if tc.count == 0 && !until.Equal(epoch.Add(40*time.Second)) {
				t.Errorf("holds until %s", until)
			}
			if tc.reason != "" && (changed[0].Type != corev1.NodeReady || changed[0].Reason != tc.reason) {
				t.Errorf("ready condition %+v", changed[0])
			}
			next := withConditions(tc.node, changed)
			if again, _ := health(next, epoch, epoch.Add(tc.after), 40*time.Second); len(again) != 0 {
				t.Errorf("changes again: %+v", again)
			}
		})
	}
}

func taintNames(taints []corev1.Taint) []string {
	var out []string
	for _, t := range taints {
		out = append(out, t.Key+":"+string(t.Effect))
	}
	slices.Sort(out)
	return out
}

func TestTaintsFor(t *testing.T) {
	const notReady, unreachable = "node.kubernetes.io/not-ready:", "node.kubernetes.io/unreachable:"
	noExecute := func(key string) corev1.Taint { return corev1.Taint{Key: key, Effect: corev1.TaintEffectNoExecute} }
	for name, tc := range map[string]struct {
		ready          corev1.ConditionStatus
		other          []corev1.NodeConditionType
		cordoned       bool
		have           []corev1.Taint
		granted, evict bool
		want           []string
		asks           bool
	}{
		"ready":     {ready: corev1.ConditionTrue, evict: true},
		"no status": {evict: true},
		"silent asks": {ready: corev1.ConditionUnknown, evict: true, asks: true,
			want: []string{unreachable + "NoSchedule"}},
		"silent and granted": {ready: corev1.ConditionUnknown, evict: true, granted: true,
			want: []string{unreachable + "NoExecute", unreachable + "NoSchedule"}},
		"changing needs no grant": {ready: corev1.ConditionFalse, evict: true,
			have: []corev1.Taint{noExecute(corev1.TaintNodeUnreachable)},
			want: []string{notReady + "NoExecute", notReady + "NoSchedule"}},
		"recovers": {ready: corev1.ConditionTrue, evict: true,
			have: []corev1.Taint{noExecute(corev1.TaintNodeUnreachable), {Key: corev1.TaintNodeUnreachable, Effect: corev1.TaintEffectNoSchedule}}},
		"everything is down": {ready: corev1.ConditionUnknown, granted: true,
			have: []corev1.Taint{noExecute(corev1.TaintNodeUnreachable)},
			want: []string{unreachable + "NoSchedule"}},
		"pressure, cordon and a user's taint": {ready: corev1.ConditionTrue, evict: true, cordoned: true,
			other: []corev1.NodeConditionType{corev1.NodeMemoryPressure, corev1.NodeDiskPressure, corev1.NodePIDPressure, corev1.NodeNetworkUnavailable},
			have:  []corev1.Taint{{Key: "mine", Effect: corev1.TaintEffectNoExecute}},
			want: []string{"mine:NoExecute", "node.kubernetes.io/disk-pressure:NoSchedule", "node.kubernetes.io/memory-pressure:NoSchedule",
				"node.kubernetes.io/network-unavailable:NoSchedule", "node.kubernetes.io/pid-pressure:NoSchedule", "node.kubernetes.io/unschedulable:NoSchedule"}},
	} {
		t.Run(name, func(t *testing.T) {
			n := node("n", tc.ready)
			n.Spec.Unschedulable, n.Spec.Taints = tc.cordoned, tc.have
			for _, c := range tc.other {
				n.Status.Conditions = append(n.Status.Conditions, corev1.NodeCondition{Type: c, Status: corev1.ConditionTrue})
			}
			taints, asks := taintsFor(n, tc.granted, tc.evict, epoch)
			if diff := cmp.Diff(tc.want, taintNames(taints)); diff != "" || asks != tc.asks {
				t.Errorf("asks %t, %s", asks, diff)
			}
			n.Spec.Taints = taints
			if again, _ := taintsFor(n, tc.granted, tc.evict, epoch); !sameTaints(again, taints) {
				t.Errorf("not stable: %v", taintNames(again))
			}
		})
	}
}

func TestZoneStatesAndRates(t *testing.T) {
	r := Config{}.complete().rates()
	for _, tc := range []struct {
		ready, unready int
		state          zoneState
		rate           float64
	}{
		{3, 0, stateNormal, 0.1},
		{1, 2, stateNormal, 0.1},
		{2, 3, statePartialDisruption, 0},
		{30, 40, statePartialDisruption, 0.01},
		{50, 40, stateNormal, 0.1},
		{0, 3, stateFullDisruption, 0.1},
	} {
		z := newZones(r)
		z.put("elsewhere", "other", ready, true)
		for i := range tc.ready + 3 {
			z.put(fmt.Sprint("x", i), "z", excluded, false)
		}
		for i := range tc.ready {
			z.put(fmt.Sprint("r", i), "z", ready, true)
		}
		for i := range tc.unready {
			z.put(fmt.Sprint("u", i), "z", unready, false)
		}
		if zn := z.zones["z"]; z.state(zn) != tc.state || z.rate(zn) != tc.rate {
			t.Errorf("%d ready, %d not: %s at %g/s", tc.ready, tc.unready, z.state(zn), z.rate(zn))
		}
		flipped := z.put("elsewhere", "other", unready, false)
		if want := tc.ready == 0; flipped != want || z.allDown() != want {
			t.Errorf("%d ready: all down %t, flipped %t", tc.ready, z.allDown(), flipped)
		}
	}
}

func TestGrantIsPaced(t *testing.T) {
	z := newZones(Config{}.complete().rates())
	for i := range 20 {
		z.put(fmt.Sprint("r", i), "z", ready, true)
	}
	for i := range 3 {
		z.put(fmt.Sprint("u", i), "z", unready, false)
		z.ask(fmt.Sprint("u", i))
		z.ask(fmt.Sprint("u", i))
	}
	now := epoch
	var order []string
	for range 3 {
		nodes, next := z.grant(now)
		order = append(order, nodes...)
		if early, _ := z.grant(now.Add(9 * time.Second)); len(early) != 0 {
			t.Errorf("granted %v early", early)
		}
		if len(order) < 3 && !next.Equal(now.Add(10*time.Second)) {
			t.Errorf("next at %s", next)
		}
		now = now.Add(10 * time.Second)
	}
	if !slices.Equal(order, []string{"u0", "u1", "u2"}) {
		t.Errorf("order %v", order)
	}
	z.ask("u1")
	z.put("u1", "z", ready, true)
	if nodes, _ := z.grant(now.Add(time.Minute)); len(nodes) != 0 {
		t.Errorf("a node that recovered is granted: %v", nodes)
	}
}

// The counts must be what counting all nodes gives.
func TestZonesAgainstOracle(t *testing.T) {
	rnd := rand.New(rand.NewSource(1))
	z := newZones(Config{}.complete().rates())
	standings := []standing{unready, unready, unready, unready, excluded, ready}
	type where struct {
		zone string
		standing
	}
	all := map[string]where{}
	down := func() bool {
		var n [3]int
		for _, w := range all {
			n[w.standing]++
		}
		return n[ready] == 0 && n[unready] > 0
	}
	for range 5000 {
		name := fmt.Sprint("n", rnd.Intn(20))
		was := down()
		var flipped bool
		if rnd.Intn(5) == 0 {
			delete(all, name)
			flipped = z.remove(name)
		} else {
			all[name] = where{fmt.Sprint("z", rnd.Intn(3)), standings[rnd.Intn(len(standings))]}
			flipped = z.put(name, all[name].zone, all[name].standing, all[name].standing == ready)
		}
		is := down()
		counts := map[string][2]int{}
		for _, w := range all {
			c := counts[w.zone]
			switch w.standing {
			case ready:
				c[0]++
			case unready:
				c[1]++
			}
			counts[w.zone] = c
		}
		if z.allDown() != is || flipped != (was != is) || len(z.zones) != len(counts) {
			t.Fatalf("all down %t, want %t; flipped %t; %d zones, want %d", z.allDown(), is, flipped, len(z.zones), len(counts))
		}
		for name, c := range counts {
			if zn := z.zones[name]; zn.ready != c[0] || zn.unready != c[1] {
				t.Fatalf("zone %s: %d, %d, want %v", name, zn.ready, zn.unready, c)
			}
		}
	}
}

// Tokens of many zones at random rates: each zone on its own must be what a
// simple bucket of one token gives, whatever waits in other zones.
func TestGrantAgainstOracle(t *testing.T) {
	rnd := rand.New(rand.NewSource(2))
	config := Config{LargeClusterSize: 4}.complete()
	z := newZones(config.rates())
	type bucket struct {
		waiting []string
		next    time.Time
	}
	health, oracle := map[string]standing{}, map[string]*bucket{"z0": {}, "z1": {}, "z2": {}}
	zoneOf := func(n int) string { return fmt.Sprint("z", n%3) }
	pause := func(zone string) time.Duration {
		total, down, up := 0, 0, 0
		for n, s := range health {
			up += map[standing]int{ready: 1}[s]
			if n[:2] == zone {
				total++
				down += map[standing]int{unready: 1}[s]
			}
		}
		switch {
		case up == 0:
			return 0
		case down < total && down > 2 && float64(down)/float64(total) >= 0.55 && total > 4:
			return 100 * time.Second
		case down < total && down > 2 && float64(down)/float64(total) >= 0.55:
			return 0
		}
		return 10 * time.Second
	}
	now := epoch
	for range 20000 {
		now = now.Add(time.Duration(rnd.Intn(5000)) * time.Millisecond)
		n := rnd.Intn(18)
		zone := zoneOf(n)
		name, s := fmt.Sprint(zone, "-", n), standing(rnd.Intn(2))
		health[name] = s
		z.put(name, zone, s, s == ready)
		b := oracle[zone]
		if s == ready {
			b.waiting = slices.DeleteFunc(b.waiting, func(w string) bool { return w == name })
		} else {
			z.ask(name)
			if !slices.Contains(b.waiting, name) {
				b.waiting = append(b.waiting, name)
			}
		}
		var want []string
		for _, zone := range []string{"z0", "z1", "z2"} {
			b, p := oracle[zone], pause(zone)
			if len(b.waiting) == 0 || p == 0 || !b.next.IsZero() && now.Before(b.next.Add(p)) {
				continue
			}
			want, b.waiting, b.next = append(want, b.waiting[0]), b.waiting[1:], now
		}
		if got, _ := z.grant(now); !slices.Equal(got, want) {
			t.Fatalf("at %s granted %v, want %v", now.Sub(epoch), got, want)
		}
	}
}
