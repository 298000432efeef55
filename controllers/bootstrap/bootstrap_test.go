package bootstrap

import (
	"testing"
	"time"

	"github.com/coracle-k8s/coracle/controllers"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	api "k8s.io/cluster-bootstrap/token/api"
	"k8s.io/cluster-bootstrap/token/jws"
	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

var now = time.Unix(1_700_000_000, 0).UTC()

func token(id string, change func(map[string][]byte)) *corev1.Secret {
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "bootstrap-token-" + id, UID: "u"}, Type: api.SecretTypeBootstrapToken,
		Data: map[string][]byte{"token-id": []byte(id), "token-secret": []byte("0123456789abcdef"), "usage-bootstrap-signing": []byte("true")},
	}
	change(s.Data)
	return s
}

func expires(in time.Duration) func(map[string][]byte) {
	return func(d map[string][]byte) { d["expiration"] = []byte(now.Add(in).Format(time.RFC3339)) }
}

func same(map[string][]byte) {}

func TestSign(t *testing.T) {
	tokens := []corev1.Secret{
		*token("aaaaaa", same),
		*token("bbbbbb", expires(time.Hour)),
		*token("cccccc", expires(-time.Hour)),
		*token("dddddd", func(d map[string][]byte) { d["usage-bootstrap-signing"] = []byte("false") }),
		*token("eeeeee", func(d map[string][]byte) { d["token-id"] = []byte("ffffff") }),
		{ObjectMeta: metav1.ObjectMeta{Name: "other"}},
	}
	data := map[string]string{"kubeconfig": "content", "jws-kubeconfig-gggggg": "stale", "x": "y"}
	got, changed, err := Sign(data, tokens, now)
	if err != nil || !changed || len(got) != 4 || got["x"] != "y" || data["jws-kubeconfig-gggggg"] != "stale" {
		t.Fatalf("%v, %v, %v", got, changed, err)
	}
	for _, id := range []string{"aaaaaa", "bbbbbb"} {
		if !jws.DetachedTokenIsValid(got["jws-kubeconfig-"+id], "content", id, "0123456789abcdef") {
			t.Errorf("the signature of %s is not valid", id)
		}
	}
	if _, changed, _ = Sign(got, tokens, now); changed {
		t.Error("signing again changes something")
	}
	if _, changed, _ = Sign(map[string]string{"jws-kubeconfig-gggggg": "stale"}, tokens, now); changed {
		t.Error("something is signed without a kubeconfig")
	}
}

func TestSignerAndCleaner(t *testing.T) {
	clk := testingclock.NewFakeClock(now)
	info := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-public", Name: "cluster-info"}, Data: map[string]string{"kubeconfig": "content"}}
	secret := token("aaaaaa", expires(time.Minute))
	c := fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithObjects(info, secret).Build()
	sign := func() map[string]string {
		if _, err := NewSigner(controllers.Deps{Client: c, Clock: clk}).Reconcile(t.Context(), reconcile.Request{NamespacedName: clusterInfo()}); err != nil {
			t.Fatal(err)
		}
		if err := c.Get(t.Context(), clusterInfo(), info); err != nil {
			t.Fatal(err)
		}
		return info.Data
	}
	if len(sign()) != 2 {
		t.Errorf("data %v", info.Data)
	}
	key := client.ObjectKeyFromObject(secret)
	clean := func() reconcile.Result {
		res, err := NewCleaner(controllers.Deps{Client: c, Clock: clk}).Reconcile(t.Context(), reconcile.Request{NamespacedName: key})
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	if res := clean(); res.RequeueAfter != time.Minute {
		t.Errorf("again after %v", res.RequeueAfter)
	}
	clk.SetTime(now.Add(time.Minute))
	clean()
	if err := c.Get(t.Context(), key, secret); !apierrors.IsNotFound(err) {
		t.Errorf("the expired token: %v", err)
	}
	if len(sign()) != 1 {
		t.Errorf("data %v", info.Data)
	}
}
