package legacytokens

import (
	"context"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/apis"
	"github.com/coracle-k8s/coracle/controllers"
)

const day = 24 * time.Hour

var today = time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC)

func date(days int) string { return today.AddDate(0, 0, days).Format(time.DateOnly) }

func TestCleaner(t *testing.T) {
	type world struct {
		secret   corev1.Secret
		account  corev1.ServiceAccount
		pod      corev1.Pod
		tracking corev1.ConfigMap
	}
	for name, tc := range map[string]struct {
		change func(*world)
		marked string
		gone   bool
	}{
		"never used":           {func(*world) {}, date(0), false},
		"used long ago":        {func(w *world) { w.secret.Labels = map[string]string{LastUsedLabel: date(-11)} }, date(0), false},
		"used in the period":   {func(w *world) { w.secret.Labels = map[string]string{LastUsedLabel: date(-10)} }, "", false},
		"used at no day":       {func(w *world) { w.secret.Labels = map[string]string{LastUsedLabel: "soon"} }, "", false},
		"new":                  {func(w *world) { w.secret.CreationTimestamp.Time = today.Add(-10 * day) }, "", false},
		"of another type":      {func(w *world) { w.secret.Type = corev1.SecretTypeOpaque }, "", false},
		"made by hand":         {func(w *world) { w.account.Secrets = nil }, "", false},
		"of an account before": {func(w *world) { w.account.UID = "other" }, "", false},
		"of no account":        {func(w *world) { w.account.Name = "other" }, "", false},
		"a pod has it":         {func(w *world) { w.pod.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "s"}} }, "", false},
		"a pod elsewhere": {func(w *world) {
			w.pod.Namespace = "b"
			w.pod.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "s"}}
		}, date(0), false},
		"not tracked for long":   {func(w *world) { w.tracking.Data[SinceKey] = date(-10) }, "", false},
		"tracked for the period": {func(w *world) { w.tracking.Data[SinceKey] = date(-11) }, date(0), false},
		"not tracked":            {func(w *world) { w.tracking.Name = "other" }, "", false},
		"marked":                 {func(w *world) { w.secret.Labels = map[string]string{InvalidSinceLabel: date(-10)} }, date(-10), false},
		"marked badly":           {func(w *world) { w.secret.Labels = map[string]string{InvalidSinceLabel: "x"} }, date(0), false},
		"marked long ago":        {func(w *world) { w.secret.Labels = map[string]string{InvalidSinceLabel: date(-11)} }, "", true},
		"marked, and tried": {func(w *world) {
			w.secret.Labels = map[string]string{InvalidSinceLabel: date(-11), LastUsedLabel: date(-1)}
		}, date(-11), false},
	} {
		t.Run(name, func(t *testing.T) {
			g, ctx := NewWithT(t), context.Background()
			w := world{
				secret: corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "s", CreationTimestamp: metav1.NewTime(today.Add(-100 * day)),
					Annotations: map[string]string{corev1.ServiceAccountNameKey: "sa", corev1.ServiceAccountUIDKey: "u"}}, Type: corev1.SecretTypeServiceAccountToken},
				account:  corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "sa", UID: "u"}, Secrets: []corev1.ObjectReference{{Name: "s"}}},
				pod:      corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "p"}},
				tracking: corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: ConfigMapName}, Data: map[string]string{SinceKey: date(-50)}},
			}
			tc.change(&w)
			c := fake.NewClientBuilder().WithScheme(apis.NewClientScheme()).WithObjects(&w.secret, &w.account, &w.pod, &w.tracking).Build()
			key := client.ObjectKeyFromObject(&w.secret)
			_, err := NewCleaner(controllers.Deps{Client: c, Clock: clocktesting.NewFakeClock(today)}, 10*day).Reconcile(ctx, reconcile.Request{NamespacedName: key})
			g.Expect(err).NotTo(HaveOccurred())
			var got corev1.Secret
			g.Expect(client.IgnoreNotFound(c.Get(ctx, key, &got))).To(Succeed())
			g.Expect(got.Name == "").To(Equal(tc.gone))
			g.Expect(got.Labels[InvalidSinceLabel]).To(Equal(tc.marked))
		})
	}
}

func TestTracker(t *testing.T) {
	g, ctx := NewWithT(t), context.Background()
	c := fake.NewClientBuilder().WithScheme(apis.NewClientScheme()).Build()
	key := client.ObjectKey{Namespace: "kube-system", Name: ConfigMapName}
	var cm corev1.ConfigMap
	run := func(at time.Time) string {
		_, err := NewTracker(controllers.Deps{Client: c, Clock: clocktesting.NewFakeClock(at)}).Reconcile(ctx, reconcile.Request{NamespacedName: key})
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(c.Get(ctx, key, &cm)).To(Succeed())
		return cm.Data[SinceKey]
	}
	g.Expect(run(today)).To(Equal(date(0)))
	g.Expect(run(today.Add(5*day))).To(Equal(date(0)), "a day that is there stays")
	cm.Data = map[string]string{SinceKey: "nonsense"}
	g.Expect(c.Update(ctx, &cm)).To(Succeed())
	g.Expect(run(today.Add(5 * day))).To(Equal(date(5)))
}
