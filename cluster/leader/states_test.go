package leader

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/cluster/queue"
)

// work runs one controller of s until it has nothing to do.
func work(t *testing.T, s *states, l logr.Logger, name string, err error) {
	t.Helper()
	g := NewWithT(t)
	yes := true
	add := make(chan workqueue.TypedRateLimitingInterface[reconcile.Request], 1)
	c, err2 := controller.NewUnmanaged(name, controller.Options{
		SkipNameValidation: &yes, Logger: s.logger(l), NewQueue: newQueue[reconcile.Request](s),
		RateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](time.Hour, time.Hour),
		Reconciler:  reconcile.Func(func(context.Context, reconcile.Request) (reconcile.Result, error) { return reconcile.Result{}, err }),
	})
	g.Expect(err2).NotTo(HaveOccurred())
	g.Expect(c.Watch(sourceFunc(func(_ context.Context, q workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		add <- q
		return nil
	}))).To(Succeed())
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- c.Start(ctx) }()
	req := reconcile.Request{}
	req.Namespace, req.Name = "default", "web"
	(<-add).Add(req)
	g.Eventually(func() bool {
		for _, one := range s.list() {
			if one.Name == name {
				return one.Adds == 1 && one.Worked.Count == 1
			}
		}
		return false
	}).WithTimeout(10 * time.Second).Should(BeTrue())
	cancel()
	g.Expect(<-ended).To(Succeed())
}

type sourceFunc func(context.Context, workqueue.TypedRateLimitingInterface[reconcile.Request]) error

func (f sourceFunc) Start(ctx context.Context, q workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	return f(ctx, q)
}

// queueName is as upstream's for the controllers of the test.
func queueName(controller string) string {
	if controller == "deployment-controller" {
		return "deployment"
	}
	return "certificate"
}

func TestStates(t *testing.T) {
	g := NewWithT(t)
	s := newStates(clock.RealClock{}, queueName)
	var lines []string
	work(t, s, funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{}), "deployment-controller", errors.New("no luck"))
	work(t, s, logr.Discard(), "certificatesigningrequest-approving-controller", nil)
	work(t, s, logr.Discard(), "certificatesigningrequest-signing-controller", errors.New("no key"))
	s.report("default-scheduler", func() queue.Numbers { return queue.Numbers{Ready: 3} })

	list := s.list()
	g.Expect(list).To(HaveLen(4))
	g.Expect(list[0].Error).To(BeNil())
	g.Expect(list[2].Ready).To(Equal(3))
	deployment := list[3]
	g.Expect([]any{deployment.Ready, deployment.Delayed, deployment.Busy}).To(Equal([]any{0, 1, 0}))
	g.Expect(deployment.Error.Object + ": " + deployment.Error.Message).To(Equal("default/web: no luck"))
	g.Expect(time.Since(deployment.Error.Time)).To(BeNumerically("<", time.Minute))
	g.Expect(strings.Join(lines, "\n")).To(ContainSubstring(`"error"="no luck"`), "the log is as before")

	r := prometheus.NewRegistry()
	r.MustRegister(s)
	g.Expect(testutil.GatherAndCompare(r, strings.NewReader(`
# HELP workqueue_adds_total [BETA] Total number of adds handled by workqueue
# TYPE workqueue_adds_total counter
workqueue_adds_total{name="certificate"} 2
workqueue_adds_total{name="deployment"} 1
# HELP workqueue_retries_total [BETA] Total number of retries handled by workqueue
# TYPE workqueue_retries_total counter
workqueue_retries_total{name="certificate"} 1
workqueue_retries_total{name="deployment"} 1
`), "workqueue_adds_total", "workqueue_retries_total")).To(Succeed())
	g.Expect(testutil.GatherAndCount(r, "workqueue_depth", "workqueue_queue_duration_seconds", "workqueue_work_duration_seconds",
		"workqueue_unfinished_work_seconds", "workqueue_longest_running_processor_seconds")).To(Equal(10))
}
