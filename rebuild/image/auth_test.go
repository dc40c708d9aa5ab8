package image_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/rebuild/image/imagetest"
)

// login is a keychain that knows one user everywhere.
type login struct{ user, password string }

func (l login) Resolve(authn.Resource) (authn.Authenticator, error) {
	return &authn.Basic{Username: l.user, Password: l.password}, nil
}

func TestBasicAuth(t *testing.T) {
	reg := imagetest.NewRegistry(t, true)
	reg.Answer(func(w http.ResponseWriter, r *http.Request) bool {
		if user, password, ok := r.BasicAuth(); ok && user == "me" && password == "secret" {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="here"`)
		http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"who are you"}]}`, http.StatusUnauthorized)
		return true
	})
	r := ref(t, reg.Host+"/app:1")
	push(t, client(t, func(o *image.Options) { o.Keychain = login{"me", "secret"} }), r, linux(t, "amd64", "x"))
	for _, keychain := range []authn.Keychain{login{"me", "wrong"}, authn.NewMultiKeychain()} {
		_, err := client(t, func(o *image.Options) { o.Keychain = keychain }).Open(t.Context(), r)
		requireError(t, err, image.ErrUnauthorized, "docker login "+reg.Host)
	}
}

// Tokens are asked for once for each repository and kind of access; one to push also covers what is mounted.
func TestTokenAuth(t *testing.T) {
	reg := imagetest.NewRegistry(t, true)
	var mu sync.Mutex
	var scopes []string
	tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, ok := r.BasicAuth(); !ok || user != "me" || password != "secret" {
			http.Error(w, "", http.StatusUnauthorized)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		scopes = append(scopes, strings.Join(r.URL.Query()["scope"], " "))
		_ = json.NewEncoder(w).Encode(map[string]string{"token": strings.Join(r.URL.Query()["scope"], " ")})
	}))
	defer tokens.Close()
	// On loopback the token server must have a name: addresses there are refused.
	realm := strings.Replace(tokens.URL, "127.0.0.1", "localhost", 1)
	reg.Answer(func(w http.ResponseWriter, r *http.Request) bool {
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		repo, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/"), "/")
		if strings.Contains(token, "repository:"+repo+":") && (r.Method == http.MethodGet || r.Method == http.MethodHead || strings.Contains(token, "push")) {
			if from := r.URL.Query().Get("from"); from == "" || strings.Contains(token, "repository:"+from+":pull") {
				return false
			}
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="`+realm+`",service="test"`)
		http.Error(w, "", http.StatusUnauthorized)
		return true
	})
	with := func(o *image.Options) { o.Keychain = login{"me", "secret"} }
	from, to := ref(t, reg.Host+"/from:1"), ref(t, reg.Host+"/to:1")
	push(t, client(t, with), from, linux(t, "amd64", "x"))
	mu.Lock()
	scopes = nil
	mu.Unlock()
	c := client(t, with)
	push(t, c, to, open(t, c, from).Images[0].Image)
	if c.Traffic().Mounted == 0 {
		t.Error("nothing was mounted")
	}
	_, err := client(t).Open(t.Context(), from)
	requireError(t, err, image.ErrUnauthorized, "docker login")
	mu.Lock()
	defer mu.Unlock()
	if len(scopes) > 5 {
		t.Errorf("%d tokens: %q", len(scopes), scopes)
	}
}
