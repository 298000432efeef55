package horizontalpodautoscaler

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// fate is the state of a pod in the oracle's world. The test chooses it, so the
// oracle need not find it out.
type fate int

const (
	counts   fate = iota // ready, with metrics
	silent               // ready, without
	starting             // not ready yet, so its CPU usage is of its start
	pending
	failed
	deleted
	fates
)

// make gives a pod its fate. Half of those that start have been ready before,
// but their sample is from before that.
func (f fate) make(p *corev1.Pod, s *Sample, coin bool) (hasSample bool) {
	ready := &p.Status.Conditions[0]
	switch f {
	case silent:
		return false
	case starting:
		p.Status.StartTime = &metav1.Time{Time: now.Add(-time.Minute)}
		if ready.LastTransitionTime = metav1.NewTime(now.Add(-20 * time.Second)); !coin {
			ready.Status = corev1.ConditionFalse
		}
	case pending:
		p.Status.Phase = corev1.PodPending
		return coin
	case failed:
		p.Status.Phase = corev1.PodFailed
	case deleted:
		p.DeletionTimestamp = &metav1.Time{Time: now}
	}
	return true
}

// TestRecommendationAgainstOracle compares what one metric asks for with the rules of
// https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#algorithm-details:
// pods whose metrics do not count are taken to speak against a change, and a change happens if the
// rest still speaks for it.
func TestRecommendationAgainstOracle(t *testing.T) {
	for seed := range uint64(5000) {
		r := rand.New(rand.NewPCG(seed, 7))
		percent := r.IntN(2) == 0
		target := int64(20 + r.IntN(80)) // percent of a CPU, or hundredths of it
		o := cpu()
		metric := autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: ptr.To(int32(target))}
		if !percent {
			metric = autoscalingv2.MetricTarget{Type: autoscalingv2.AverageValueMetricType, AverageValue: resource.NewMilliQuantity(target*10, resource.DecimalSI)}
		}
		o.Autoscaler.Spec.Metrics[0].Resource.Target = metric
		o.Scale.Replicas = int32(1 + r.IntN(8))
		var all []fate
		var usages []int64
		for i := range 1 + r.IntN(8) {
			p, s, f := pod(i), Sample{At: now, Window: time.Minute, Value: 10 * int64(r.IntN(150))}, fate(r.IntN(int(fates)+6))
			if f >= fates {
				f = counts
			}
			if f.make(p, &s, r.IntN(2) == 0) {
				o.Readings[0].Pods[p.Name] = s
			}
			o.Pods, all, usages = append(o.Pods, p), append(all, f), append(usages, s.Value)
		}
		got, _, err := (&planner{Observed: o, now: now}).askOne(&o.Autoscaler.Spec.Metrics[0], o.Readings[0])
		want, ok := oracle(all, usages, target, percent, o.Scale.Replicas)
		if ok != (err == nil) || ok && got.replicas != want {
			t.Fatalf("seed %d: %v using %v of %d (percent: %v), now %d: got %d, %v; want %d, %v",
				seed, all, usages, target, percent, o.Scale.Replicas, got.replicas, err, want, ok)
		}
	}
}

// oracle computes the replicas from every pod's fate. Every pod requests one CPU.
func oracle(all []fate, usages []int64, target int64, percent bool, current int32) (int32, bool) {
	// ratio is that of the average to the target, whole percents or thousandths.
	ratio := func(values []int64) float64 {
		sum := int64(0)
		for _, v := range values {
			sum += v
		}
		if percent {
			return float64(sum*100/int64(1000*len(values))) / float64(target)
		}
		return float64(sum/int64(len(values))) / float64(10*target)
	}
	var sure []int64
	missing, young := 0, 0
	for i, f := range all {
		switch f {
		case counts:
			sure = append(sure, usages[i])
		case silent:
			missing++
		case starting, pending:
			young++
		}
	}
	if len(sure) == 0 {
		return 0, false
	}
	first := ratio(sure)
	careful := sure
	switch {
	case first > 1:
		for range missing + young {
			careful = append(careful, 0)
		}
	case first < 1:
		fill := 10 * target
		if percent {
			fill = max(1000, fill)
		}
		for range missing {
			careful = append(careful, fill)
		}
	}
	second := ratio(careful)
	near := math.Abs(second-1) <= 0.1+1e-12
	if near || (first-1)*(second-1) < 0 {
		return current, true
	}
	n := int32(math.Ceil(second * float64(len(careful))))
	cautious := missing > 0 || first > 1 && young > 0
	if cautious && (second < 1 && n > current || second > 1 && n < current) {
		return current, true
	}
	return n, true
}

func TestOracleKnowsItsPods(t *testing.T) {
	for f, want := range map[fate]string{counts: "1 0 0", silent: "0 0 1", starting: "0 1 0", pending: "0 1 0", failed: "0 0 0", deleted: "0 0 0"} {
		for _, coin := range []bool{true, false} {
			p, s, metrics := pod(0), Sample{At: now, Window: time.Minute}, map[string]Sample{}
			if f.make(p, &s, coin) {
				metrics["0"] = s
			}
			g := groupPods([]*corev1.Pod{p}, metrics, corev1.ResourceCPU, now)
			if got := fmt.Sprint(g.ready, len(g.unready), len(g.missing)); got != want {
				t.Errorf("fate %d: %s, want %s", f, got, want)
			}
		}
	}
}
