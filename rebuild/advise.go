package rebuild

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/advisory"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/rebuild/policy"
)

// PublishedAdvisories in Options.Advisories stands for what the image's own distribution publishes.
const PublishedAdvisories = "published"

// AdvisoryDocuments are the documents that the options name. Files are looked into now: a wrong one is a mistake that shows before
// anything is fetched.
func (o *Options) AdvisoryDocuments(ctx context.Context, d plan.Distro) ([]advisory.Document, error) {
	if o.Lock != nil {
		return nil, nil // the lock repeats what was known
	}
	var documents []advisory.Document
	for _, name := range o.Advisories {
		switch {
		case name == PublishedAdvisories:
			published := advisoryDistro(d).Published()
			if len(published) == 0 {
				o.logger().WarnContext(ctx, "no published advisories are known for the image's distribution", "distro", d.ID, "version", d.VersionID)
			}
			for _, address := range published {
				documents = append(documents, o.fetched(address))
			}
		case strings.HasPrefix(name, "https://"):
			u, err := url.Parse(name)
			if err == nil {
				err = pkgrepo.CheckAddress(u)
			}
			if err != nil {
				return nil, fmt.Errorf("%w: an address of advisories: %w", ErrOptions, unrepeated(err))
			}
			documents = append(documents, o.fetched(name))
		case strings.HasPrefix(name, "http://"):
			return nil, fmt.Errorf("%w: advisories by http: nothing vouches for what comes that way, name it by https: or as a file", ErrOptions)
		default:
			doc := advisory.Document{Name: filepath.Base(name), Open: func(context.Context) (io.ReadCloser, error) { return os.Open(name) }}
			if _, err := doc.Detect(ctx); err != nil {
				return nil, fmt.Errorf("%w: %w", ErrOptions, err)
			}
			documents = append(documents, doc)
		}
	}
	return documents, nil
}

// unrepeated is the reason of an URL's error, without the URL: it may have a password in it.
func unrepeated(err error) error {
	if malformed := new(url.Error); errors.As(err, &malformed) {
		return malformed.Err
	}
	return err
}

// fetched is a document that is fetched when it is asked.
func (o *Options) fetched(address string) advisory.Document {
	return advisory.Document{Name: address, Open: func(ctx context.Context) (io.ReadCloser, error) {
		return o.Client.Latest(ctx, address, advisory.MaxDocument)
	}}
}

func advisoryDistro(d plan.Distro) advisory.Distro {
	return advisory.Distro{ID: d.ID, VersionID: d.VersionID, Codename: d.Codename}
}

// advise writes into the plan what is known of its updates.
func (l *loop) advise(ctx context.Context, updates []policy.Update) error {
	if len(updates) == 0 {
		return nil
	}
	asked := make([]advisory.Update, 0, len(updates))
	for _, u := range updates {
		payload := l.payloads[u.To.Artifact]
		to := payload.Package()
		a := advisory.Update{Type: l.backend.ecosystem.Type(), Name: u.From.Name, From: u.From.Version, To: u.To.Version}
		if to.Source == u.From.Source { // else the versions count different things
			a.Source, a.Files = to.Source, payload.Files()
			a.SourceFrom, a.SourceTo = cmp.Or(u.From.SourceVersion, u.From.Version), cmp.Or(to.SourceVersion, to.Version)
		}
		asked = append(asked, a)
	}
	statements, err := advisory.Find(ctx, advisoryDistro(l.job.Plan.Distro), asked, l.advisories)
	if errors.Is(err, advisory.ErrFormat) {
		return fmt.Errorf("%w: %w", ErrOptions, err)
	}
	if err != nil {
		return err
	}
	for i := range l.job.Plan.Updates {
		l.job.Plan.Updates[i].SetAdvisories(statements[i])
	}
	return nil
}
