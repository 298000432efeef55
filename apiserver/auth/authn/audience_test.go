package authn

import (
	"context"
	"net/http/httptest"
	"testing"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
)

// TestAudiences asks as the server does, with its own audience in the context:
// tokens that have audiences go beside credentials that have none.
func TestAudiences(t *testing.T) {
	static, err := NewStatic(map[string]user.Info{"plain": &user.DefaultInfo{Name: "static"}})
	if err != nil {
		t.Fatal(err)
	}
	aware := authenticator.TokenFunc(func(_ context.Context, token string) (*authenticator.Response, bool, error) {
		return &authenticator.Response{User: &user.DefaultInfo{Name: "aware"}, Audiences: authenticator.Audiences{"api"}}, token == "signed", nil
	})
	a := New(Config{Tokens: []authenticator.Token{static, aware}, Audiences: authenticator.Audiences{"api"}})
	for token, want := range map[string]string{"plain": "static", "signed": "aware"} {
		for audience, ok := range map[string]bool{"api": true, "other": token == "signed"} {
			r := httptest.NewRequest("GET", "/api", nil)
			r.Header.Set("Authorization", "Bearer "+token)
			r = r.WithContext(authenticator.WithAudiences(r.Context(), authenticator.Audiences{audience}))
			response, got, err := a.AuthenticateRequest(r)
			// The aware one here answers whatever is asked; the static one only for the server's own.
			if got != ok || ok && (err != nil || response.User.GetName() != want) {
				t.Errorf("%s for %s: got %v, %v, %v", token, audience, response, got, err)
			}
		}
	}
}
