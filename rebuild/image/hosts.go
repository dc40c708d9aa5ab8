package image

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/google/go-containerregistry/pkg/name"
)

// HostOptions are the settings of one registry. Files are PEM.
type HostOptions struct {
	// CACert is a file of authorities to trust besides all others, for this host only.
	CACert string
	// ClientCert and ClientKey are shown to a registry that asks who we are; both or none.
	ClientCert, ClientKey string
	// Concurrency is how many requests for manifests and blobs the host gets at once in each direction; 0 is Options.Jobs.
	Concurrency int
	// ChunkSize is the most bytes of a blob that go up in one request; 0 is the whole blob, which most registries like best.
	ChunkSize int64
}

// DefaultCertDirs are the directories in which podman and docker look for registries' certificates
// (containers-certs.d(5)). home is the user's home directory, empty for none.
func DefaultCertDirs(home string) []string {
	dirs := []string{"/etc/containers/certs.d", "/etc/docker/certs.d"}
	if home == "" {
		return dirs
	}
	return append([]string{filepath.Join(home, ".config", "containers", "certs.d")}, dirs...)
}

// host is the settings for a "host" or "host:port".
func (o Options) host(hostport string) HostOptions {
	for _, n := range hostNames(hostport) {
		if h, ok := o.Hosts[n]; ok {
			return h
		}
	}
	return HostOptions{}
}

// hostNames are the names under which people know a host.
func hostNames(hostport string) []string {
	hostport = strings.ToLower(hostport)
	switch hostport {
	case name.DefaultRegistry, "registry-1.docker.io":
		return []string{hostport, "docker.io"}
	}
	return []string{hostport}
}

// hostCertificates is the network: to each host with the certificates that are set for it.
type hostCertificates struct {
	opts Options
	base *http.Transport

	mu   sync.Mutex
	made map[string]*http.Transport
}

func (h *hostCertificates) RoundTrip(req *http.Request) (*http.Response, error) {
	t, err := h.transport(req.URL.Host)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	return t.RoundTrip(req)
}

// transport is made when a host is first asked. Hosts without certificates of their own share one.
func (h *hostCertificates) transport(host string) (*http.Transport, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t, ok := h.made[host]; ok {
		return t, nil
	}
	certs, err := h.opts.certificates(host)
	if err != nil {
		return nil, err
	}
	t := h.base
	if len(certs.authorities)+len(certs.clients) > 0 {
		t = h.base.Clone()
		if t.TLSClientConfig, err = certs.config(h.base.TLSClientConfig); err != nil {
			return nil, err
		}
	}
	h.made[host] = t
	return t, nil
}

// certificates are the files that are set for one host.
type certificates struct {
	authorities []string
	clients     map[string]string // certificate → key
}

// certificates of a host: what its own settings name, and else what lies in the first directory that knows it.
func (o Options) certificates(host string) (certificates, error) {
	own := o.host(host)
	if (own.ClientCert == "") != (own.ClientKey == "") {
		return certificates{}, usageError("registry "+host, "a client certificate and its key go together", "name both")
	}
	c := certificates{clients: make(map[string]string)}
	if own.CACert != "" {
		c.authorities = append(c.authorities, own.CACert)
	}
	if own.ClientCert != "" {
		c.clients[own.ClientCert] = own.ClientKey
	}
	if len(c.authorities)+len(c.clients) > 0 {
		return c, nil
	}
	if host == "" || host == "." || host == ".." || strings.ContainsAny(host, `/\`) {
		return certificates{}, usageError("registry "+host, "this is not the name of a host", "")
	}
	for i, dir := range slices.Concat(o.CertDirs, o.UsualCertDirs) {
		for _, n := range hostNames(host) {
			found, err := c.read(filepath.Join(dir, n))
			if i >= len(o.CertDirs) && !found && (errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.ENOTDIR)) {
				o.Logger.Debug("passing over a directory of certificates", "registry", host, "error", err)
				continue
			}
			if found || err != nil {
				return c, err
			}
		}
	}
	return c, nil
}

// read lists a host's directory, as containers-certs.d(5) and docker's documentation describe it.
func (c *certificates) read(dir string) (found bool, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, &Error{Kind: ErrUsage, Ref: dir, What: "the registry's certificates cannot be read: " + err.Error(), Cause: err}
	}
	names := make(map[string]bool)
	for _, e := range entries {
		names[e.Name()] = true
	}
	for _, e := range entries {
		file := filepath.Join(dir, e.Name())
		base, kind := strings.TrimSuffix(e.Name(), filepath.Ext(e.Name())), filepath.Ext(e.Name())
		switch kind {
		case ".crt":
			c.authorities = append(c.authorities, file)
		case ".cert":
			if !names[base+".key"] {
				return true, usageError(file, "the client certificate has no key", "add "+base+".key")
			}
			c.clients[file] = filepath.Join(dir, base+".key")
		case ".key":
			if !names[base+".cert"] {
				return true, usageError(file, "the key has no client certificate", "add "+base+".cert; authorities are named .crt")
			}
		}
	}
	return true, nil
}

// config adds the files' content to what all hosts share.
func (c *certificates) config(shared *tls.Config) (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if shared != nil {
		cfg = shared.Clone()
	}
	if len(c.authorities) > 0 {
		if cfg.RootCAs == nil {
			cfg.RootCAs = systemAuthorities()
		} else {
			cfg.RootCAs = cfg.RootCAs.Clone()
		}
	}
	for _, file := range c.authorities {
		if err := addAuthorities(cfg.RootCAs, file, file); err != nil {
			return nil, err
		}
	}
	for _, file := range slices.Sorted(maps.Keys(c.clients)) {
		pair, err := tls.LoadX509KeyPair(file, c.clients[file])
		if err != nil {
			return nil, &Error{Kind: ErrUsage, Ref: file, What: fmt.Sprintf("not a usable client certificate: %v", err), Cause: err}
		}
		cfg.Certificates = append(cfg.Certificates, pair)
	}
	return cfg, nil
}

// Authorities is the system's certificate authorities with those of a PEM file, as --ca-cert names it; nil, which stands
// for the system's alone, where no file is named. Its errors are [ErrUsage].
func Authorities(file string) (*tls.Config, error) {
	if file == "" {
		return nil, nil //nolint:nilnil // no configuration is what a transport's default stands for
	}
	pool := systemAuthorities()
	if err := addAuthorities(pool, file, "--ca-cert "+file); err != nil {
		return nil, err
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

func systemAuthorities() *x509.CertPool {
	pool, err := x509.SystemCertPool()
	if err != nil {
		return x509.NewCertPool()
	}
	return pool
}

// addAuthorities adds those of a file; who is what errors call it.
func addAuthorities(pool *x509.CertPool, file, who string) error {
	pem, err := os.ReadFile(file)
	if err != nil {
		return &Error{Kind: ErrUsage, Ref: who, What: err.Error(), Cause: err}
	}
	if !pool.AppendCertsFromPEM(pem) {
		return usageError(who, "no certificate in it", "give a PEM file (-----BEGIN CERTIFICATE-----)")
	}
	return nil
}
