package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/docker/go-units"
)

// Registry holds the settings of one registry. Files are PEM.
type Registry struct {
	// Insecure allows plain HTTP where the registry has no TLS.
	Insecure bool `yaml:"insecure,omitempty" json:"insecure,omitempty"`
	// CACert is a file of certificate authorities to trust besides the system's.
	CACert string `yaml:"caCert,omitempty" json:"caCert,omitempty"`
	// ClientCert and ClientKey are shown to a registry that wants a client certificate.
	ClientCert string `yaml:"clientCert,omitempty" json:"clientCert,omitempty"`
	ClientKey  string `yaml:"clientKey,omitempty" json:"clientKey,omitempty"`
	// Concurrency is how many requests the registry gets at once in each direction; without it, --concurrency.
	Concurrency int `yaml:"concurrency,omitempty" json:"concurrency,omitempty" jsonschema:"minimum=0"`
	// ChunkSize is the most that one request uploads, for registries and proxies with a limit: "50MiB".
	ChunkSize string `yaml:"chunkSize,omitempty" json:"chunkSize,omitempty"`
	// Mirrors are asked for images before the registry, in order, as in containers-registries.conf.
	Mirrors []Mirror `yaml:"mirrors,omitempty" json:"mirrors,omitempty"`
}

// Mirror is a place that has copies of a registry's images.
type Mirror struct {
	// Location is host[:port] and path elements, in the place of the registry's key.
	Location string `yaml:"location" json:"location"`
	// Insecure allows plain HTTP where the mirror has no TLS.
	Insecure bool `yaml:"insecure,omitempty" json:"insecure,omitempty"`
	// PullFromMirror says which references it is asked for.
	PullFromMirror string `yaml:"pullFromMirror,omitempty" json:"pullFromMirror,omitempty" jsonschema:"enum=all,enum=digest-only,enum=tag-only"`
}

// ChunkBytes is ChunkSize in bytes, 0 where there is none.
func (r Registry) ChunkBytes() (int64, error) { return ParseSize(r.ChunkSize) }

// ParseSize reads a number of bytes: "10GiB", "500MB", "0". Units are powers of 1024 either way. "" is 0.
func ParseSize(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	n, err := units.RAMInBytes(s)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%q is not a size; write 500MiB or 10GiB", s)
	}
	return n, nil
}

// registries checks the settings of registries.
func (v *validation) registries(all map[string]Registry) {
	named := make(map[string]string)
	for _, host := range slices.Sorted(maps.Keys(all)) {
		r, at := all[host], "registries."+host
		if strings.Contains(host, ".") || strings.Contains(host, "/") {
			at = "registries.'" + host + "'"
		}
		lower := strings.ToLower(host)
		if other, ok := named[lower]; ok {
			v.add(at, errors.New("is the same as "+other))
		}
		named[lower] = host
		_, err := r.ChunkBytes()
		v.add(at+".chunkSize", err)
		if r.Concurrency < 0 {
			v.add(at+".concurrency", errors.New("is negative"))
		}
		if (r.ClientCert == "") != (r.ClientKey == "") {
			v.add(at, errors.New("clientCert and clientKey go together"))
		}
		if strings.Contains(host, "/") && (r.Insecure || r.CACert != "" || r.ClientCert != "" || r.Concurrency != 0 || r.ChunkSize != "") {
			v.add(at, errors.New("only mirrors can be set for a part of a registry"))
		}
		for i, m := range r.Mirrors {
			key := fmt.Sprintf("%s.mirrors[%d]", at, i)
			if m.Location == "" {
				v.add(key+".location", errors.New("is missing: where is the mirror?"))
			}
			v.word(key+".pullFromMirror", m.PullFromMirror, []string{"all", "digest-only", "tag-only"})
		}
	}
}
