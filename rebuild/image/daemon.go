package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/containerd/errdefs"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/moby/moby/client"
)

// daemon connects to the Docker or Podman service that DOCKER_HOST and its kin name, or else to the first of the usual
// sockets that is there.
func (c *Client) daemon() (*client.Client, error) {
	options := []client.Opt{client.FromEnv}
	if os.Getenv(client.EnvOverrideHost) == "" {
		if socket := usualSocket(); socket != "" {
			options = append(options, client.WithHost("unix://"+socket))
		}
	}
	return client.New(options...)
}

// usualSocket is where a service listens that nobody has set up otherwise: Docker's, then Podman's of the user, then of
// the system.
func usualSocket() string {
	sockets := []string{"/var/run/docker.sock"}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		sockets = append(sockets, filepath.Join(dir, "podman", "podman.sock"))
	}
	for _, s := range append(sockets, "/run/podman/podman.sock") {
		if info, err := os.Stat(s); err == nil && info.Mode()&os.ModeSocket != 0 {
			return s
		}
	}
	return ""
}

// saved has an image saved into a file without a name.
func (c *Client) saved(ctx context.Context, ref Ref) (*os.File, error) {
	d, err := c.daemon()
	if err != nil {
		return nil, daemonError(ctx, ref, err)
	}
	defer d.Close()
	name := ref.Repository + ":" + ref.Tag
	// Saving what is not there gives an answer of its own sort from each service; asking for it does not.
	if _, err := d.ImageInspect(ctx, name); err != nil {
		return nil, daemonError(ctx, ref, err)
	}
	stream, err := d.ImageSave(ctx, []string{name})
	if err != nil {
		return nil, daemonError(ctx, ref, err)
	}
	defer stream.Close()
	f, err := spool(ctx, stream)
	if err != nil {
		return nil, daemonError(ctx, ref, err)
	}
	return f, nil
}

// load gives the daemon what is staged, and asks what it took.
func (r *archiveRepository) load(ctx context.Context) error {
	f, err := os.CreateTemp("", "nanopatch-*")
	if err != nil {
		return err
	}
	defer f.Close()
	if err := os.Remove(f.Name()); err != nil {
		return err
	}
	if err := r.write(ctx, f); err != nil {
		return registryError(ctx, r.String(), "", err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	d, err := r.c.daemon()
	if err != nil {
		return daemonError(ctx, r.ref, err)
	}
	defer d.Close()
	answer, err := d.ImageLoad(ctx, f, client.ImageLoadWithQuiet(true))
	if err != nil {
		return daemonError(ctx, r.ref, err)
	}
	defer answer.Close()
	if err := loaded(answer); err != nil {
		return daemonError(ctx, r.ref, err)
	}
	return r.checkLoaded(ctx, d)
}

// loaded reads the service's progress messages (Docker Engine API, "ImageLoad"), of which one may be an error.
func loaded(answer io.Reader) error {
	messages := json.NewDecoder(io.LimitReader(answer, maxManifest))
	for {
		var message struct {
			Error string `json:"error"`
		}
		switch err := messages.Decode(&message); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("reading the answer: %w", err)
		case message.Error != "":
			return errors.New(oneLine(message.Error))
		}
	}
}

// checkLoaded makes sure that the names lead to the layers that were given. The image's identity will not do: services
// differ in what they take for it.
func (r *archiveRepository) checkLoaded(ctx context.Context, d *client.Client) error {
	l := layout{place: r.String(), files: r.staged}
	raw, err := l.readIndex()
	if err != nil {
		return err
	}
	var index v1.IndexManifest
	if err := json.Unmarshal(raw, &index); err != nil {
		return err
	}
	for _, entry := range index.Manifests {
		found, err := l.openDigest(entry.Digest)
		if err != nil {
			return err
		}
		config, err := found.image.ConfigFile()
		if err != nil {
			return err
		}
		var want []string
		for _, diffID := range config.RootFS.DiffIDs {
			want = append(want, diffID.String())
		}
		name := entry.Annotations[refName]
		info, err := d.ImageInspect(ctx, name)
		if err != nil {
			return daemonError(ctx, r.ref, err)
		}
		if !slices.Equal(info.RootFS.Layers, want) {
			return &Error{Kind: ErrVerification, Ref: r.String(), What: "the daemon's " + name + " has other layers than it was given"}
		}
	}
	return nil
}

// daemonError gives an error of the daemon's API its kind.
func daemonError(ctx context.Context, ref Ref, err error) error {
	var typed *Error
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("%s: %w", ref.place(), cause)
	}
	e := &Error{Ref: ref.place(), Cause: err, Kind: ErrUnreachable}
	switch {
	case errors.As(err, &typed):
		return err
	case errdefs.IsNotFound(err):
		e.Kind, e.What, e.Hint = ErrNotFound, "the daemon has no such image", "check the name and tag"
	case errdefs.IsPermissionDenied(err), errdefs.IsUnauthorized(err), errors.Is(err, os.ErrPermission):
		e.Kind, e.What, e.Hint = ErrUnauthorized, "the daemon refuses access", "check the permissions of its socket"
	case client.IsErrConnectionFailed(err):
		e.What, e.Hint = "no daemon answers: "+err.Error(), "start Docker or Podman's service, or set DOCKER_HOST to its socket"
	default:
		e.What = "the daemon fails: " + err.Error()
	}
	return e
}
