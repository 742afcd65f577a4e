package httpapi

import (
	"net/http"
	"strings"
	"testing"

	"github.com/logpipeline/logpipeline/ingester/config"
)

// Whoever is admitted has sent what net/http, too, reads as the credentials of
// that client.
func FuzzIdentify(f *testing.F) {
	secrets := map[string]string{"ann": "pass", "bob": "p:q"}
	dir := directory(f, secrets)
	a := newAuthenticator(f, config.Authentication{BearerTokensDir: dir, BasicDir: dir})
	for _, seed := range []string{"", "Bearer pass", "bearer  p:q", "Basic", basic("ann", "pass"), basic("bob", "p:q"), basic("ann", "p:q"), "Basic YW5uOnBhc3M", "Bearer \xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, authorization string) {
		r := &http.Request{Header: http.Header{"Authorization": {authorization}}}
		client, refusal := a.identify(r)
		user, password, isBasic := r.BasicAuth()
		scheme, token, _ := strings.Cut(authorization, " ")
		admitted := isBasic && secrets[user] == password && password != ""
		if strings.EqualFold(scheme, "Bearer") {
			user = client
			admitted = client != "" && secrets[client] == strings.TrimLeft(token, " ")
		}
		if refusal == nil && (!admitted || client != user) {
			t.Errorf("%q is taken for %q", authorization, client)
		}
		if refusal != nil && refusal.Status != http.StatusUnauthorized {
			t.Errorf("%q is refused with %d", authorization, refusal.Status)
		}
	})
}
