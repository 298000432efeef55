package tokens

import (
	"context"
	"testing"

	"github.com/coracle-k8s/coracle/controllers"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

type signer struct{}

func (signer) Generate(sa *corev1.ServiceAccount, s *corev1.Secret) (string, error) {
	return sa.Name + "/" + s.Name, nil
}

func TestReconcile(t *testing.T) {
	ctx := context.Background()
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "robot", UID: "u1"}}
	token := func(account, uid string, data map[string][]byte) *corev1.Secret {
		s := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "s", UID: "s1", Annotations: map[string]string{corev1.ServiceAccountNameKey: account}},
			Type:       corev1.SecretTypeServiceAccountToken, Data: data,
		}
		if uid != "" {
			s.Annotations[corev1.ServiceAccountUIDKey] = uid
		}
		return s
	}
	opaque := token("gone", "", nil)
	opaque.Type = corev1.SecretTypeOpaque
	for name, tc := range map[string]struct {
		secret *corev1.Secret
		gone   bool
		token  string
	}{
		"empty is filled":                {secret: token("robot", "", nil), token: "robot/s"},
		"uid agrees":                     {secret: token("robot", "u1", nil), token: "robot/s"},
		"a token stays":                  {secret: token("robot", "u1", map[string][]byte{"token": []byte("old")}), token: "old"},
		"account gone":                   {secret: token("gone", "", nil), gone: true},
		"account of another uid":         {secret: token("robot", "u0", nil), gone: true},
		"other secrets are none of ours": {secret: opaque},
	} {
		t.Run(name, func(t *testing.T) {
			c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(sa.DeepCopy(), tc.secret).Build()
			r := New(controllers.Deps{Client: c, Live: c}, Config{Tokens: signer{}, CA: func() []byte { return []byte("PEM") }})
			key := client.ObjectKeyFromObject(tc.secret)
			for range 2 {
				if _, err := r.Reconcile(ctx, reconcile.Request{NamespacedName: key}); err != nil {
					t.Fatal(err)
				}
			}
			var got corev1.Secret
			err := c.Get(ctx, key, &got)
			if tc.gone != apierrors.IsNotFound(err) {
				t.Fatalf("secret gone: %v", err)
			}
			if string(got.Data["token"]) != tc.token {
				t.Errorf("token %q, want %q", got.Data["token"], tc.token)
			}
			if tc.token == "" {
				return
			}
			if string(got.Data["ca.crt"]) != "PEM" || string(got.Data["namespace"]) != "ns" || got.Annotations[corev1.ServiceAccountUIDKey] != "u1" {
				t.Errorf("not filled: %+v", got)
			}
		})
	}
	r := New(controllers.Deps{Client: fake.NewClientBuilder().WithScheme(scheme).WithObjects(token("robot", "", nil)).Build()}, Config{})
	if reqs := r.secretsOf(ctx, sa); len(reqs) != 1 || reqs[0].Name != "s" {
		t.Errorf("account wakes %v", reqs)
	}
}
