package signtest

import (
	"io"
	"log"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
)

// Registry starts an in-process registry on the loopback interface, with or without the referrers API, and
// returns a repository in it. It stops with the test.
func Registry(tb testing.TB, referrers bool) name.Repository {
	tb.Helper()
	server := httptest.NewServer(registry.New(
		registry.WithReferrersSupport(referrers),
		registry.Logger(log.New(io.Discard, "", 0)),
	))
	tb.Cleanup(server.Close)
	repo, err := name.NewRepository(strings.TrimPrefix(server.URL, "http://")+"/team/base", name.Insecure)
	if err != nil {
		tb.Fatal(err)
	}
	return repo
}
