package pipeline

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/nanopatch/nanopatch/rebuild"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
	"github.com/nanopatch/nanopatch/rebuild/plan"
)

// Archive is a place that may have a package file which its repository has no more: a base URL or directory with a
// repository's own paths below it. In it, {archive} stands for the last component of the repository's URL ("debian-security"),
// {timestamp} for the date of its signed index ("20261126T150405Z"), and {sha256} for the file's digest; with the last, the
// place names the file itself.
type Archive string

// archives are those that distributions keep themselves, by the namespace of their packages' purls.
var archives = map[string]Archive{
	"pkg:deb/debian/": "https://snapshot.debian.org/archive/{archive}/{timestamp}/",
	"pkg:deb/ubuntu/": "https://snapshot.ubuntu.com/{archive}/{timestamp}/",
}

// gathering is how many files are asked for at once.
const gathering = 8

// sources are the places that package files are looked for in after where the lockfile says.
type sources struct {
	// beside has those that lie beside the image; nil is none.
	beside   *packagesBeside
	archives []Archive
}

// gather brings the artifacts of a lockfile into the cache: from where the lockfile says, else from beside the image, else
// from an archive. Its digest makes a file the right one, wherever it came from.
func (s *Session) gather(ctx context.Context, client *pkgrepo.Client, lock *plan.PlatformLock, from sources) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(gathering)
	for _, u := range lock.Updates {
		group.Go(func() error { return s.gatherOne(ctx, client, u, lock.Repositories, from) })
	}
	return group.Wait()
}

func (s *Session) gatherOne(
	ctx context.Context, client *pkgrepo.Client, u plan.Update, repositories []plan.Repository, from sources,
) error {
	artifact, err := rebuild.ArtifactOf(u)
	if err != nil {
		return fmt.Errorf("%w: %w", plan.ErrLock, err)
	}
	_, first := client.Fetch(ctx, []pkgrepo.Artifact{artifact}, 1)
	if first == nil || ctx.Err() != nil || !errors.Is(first, pkgrepo.ErrNotFound) && !errors.Is(first, pkgrepo.ErrUnreachable) {
		return first
	}
	switch there, err := from.beside.keep(ctx, client, artifact); {
	case err != nil:
		return fmt.Errorf("%s %s: the package file beside the image: %w", u.Key(), u.To, err)
	case there:
		s.cfg.Logger.InfoContext(ctx, "taken from beside the image", "package", u.Key().String())
		return nil
	}
	places := slices.Clone(from.archives)
	for prefix, archive := range archives {
		if strings.HasPrefix(u.PURL, prefix) && !s.cfg.Offline {
			places = append(places, archive)
		}
	}
	for _, archive := range places {
		artifact.URL = archive.locate(u, repositories)
		if artifact.URL == "" {
			continue
		}
		if _, err := client.Fetch(ctx, []pkgrepo.Artifact{artifact}, 1); err == nil {
			s.cfg.Logger.InfoContext(ctx, "taken from an archive", "package", u.Key().String(), "url", artifact.URL)
			return nil
		}
	}
	return fmt.Errorf("%s %s: neither the cache nor the repository nor any of %s has the package file; name a mirror with --artifacts-from: %w",
		u.Key(), u.To, count(len(places), "archive"), first)
}

// locate is the URL of an update's package file in an archive, "" where it cannot be told.
func (a Archive) locate(u plan.Update, repositories []plan.Repository) string {
	base := string(a)
	if strings.Contains(base, "{sha256}") {
		return strings.ReplaceAll(base, "{sha256}", u.Artifact.SHA256)
	}
	for _, r := range repositories {
		root := strings.TrimSuffix(r.URI, "/") + "/"
		rest, ok := strings.CutPrefix(u.Artifact.URL, root)
		if !ok {
			continue
		}
		parsed, err := url.Parse(root)
		if err != nil {
			return ""
		}
		base = strings.ReplaceAll(base, "{archive}", path.Base(parsed.Path))
		base = strings.ReplaceAll(base, "{timestamp}", r.Date.UTC().Format("20060102T150405Z"))
		return strings.TrimSuffix(base, "/") + "/" + rest
	}
	return ""
}

// nowhere is the network of a run that must not use one: it has nothing, and says so at once.
type nowhere struct{}

func (nowhere) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		_ = req.Body.Close() // RoundTrip must; nothing was read from it
	}
	return &http.Response{
		Status: "404 Not Found (offline)", StatusCode: http.StatusNotFound, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: http.NoBody, Request: req,
	}, nil
}
