package image_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/rebuild/image/imagetest"
)

// writePEM writes blocks of one kind to a file.
func writePEM(t *testing.T, file, kind string, der []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// certificate makes a certificate for a client, and for a server of a name, that is its own authority.
func certificate(t *testing.T, dir, host string) (cert *x509.Certificate, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "me"}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}, DNSNames: []string{host},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return cert, writePEM(t, filepath.Join(dir, "client.cert"), "CERTIFICATE", der), writePEM(t, filepath.Join(dir, "client.key"), "PRIVATE KEY", keyDER)
}

// startTLS puts a registry behind TLS that wants a client certificate, and returns its host and a file with its authority.
func startTLS(t *testing.T, reg http.Handler, clients *x509.CertPool) (host, caFile string) {
	t.Helper()
	server := httptest.NewUnstartedServer(reg)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "https://"), writePEM(t, filepath.Join(t.TempDir(), "ca.crt"), "CERTIFICATE", server.Certificate().Raw)
}

// A registry with an authority of its own that wants a client certificate, by the host's settings and by each directory.
func TestHostCertificates(t *testing.T) {
	reg := imagetest.NewRegistry(t, true)
	push(t, client(t), ref(t, reg.Host+"/app:1"), linux(t, "amd64", "x"))
	cert, certFile, keyFile := certificate(t, t.TempDir(), "client.test")
	clients := x509.NewCertPool()
	clients.AddCert(cert)
	host, caFile := startTLS(t, reg, clients)
	r := ref(t, host+"/app:1")

	_, err := client(t).Open(t.Context(), r)
	requireError(t, err, image.ErrUnreachable, "unknown authority")
	_, err = client(t, func(o *image.Options) { o.CACert = caFile }).Open(t.Context(), r)
	requireError(t, err, image.ErrUnreachable)

	own := image.HostOptions{CACert: caFile, ClientCert: certFile, ClientKey: keyFile}
	open(t, client(t, func(o *image.Options) { o.Hosts = map[string]image.HostOptions{host: own} }), r)
	// They are this host's alone.
	_, err = client(t, func(o *image.Options) { o.Hosts = map[string]image.HostOptions{"other.example": own} }).Open(t.Context(), r)
	requireError(t, err, image.ErrUnreachable, "unknown authority")

	dir := t.TempDir()
	for name, from := range map[string]string{"ca.crt": caFile, "client.cert": certFile, "client.key": keyFile} {
		content, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(dir, host), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, host, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	inDirs := func(o *image.Options) { o.CertDirs = []string{filepath.Join(dir, "none"), dir} }
	open(t, client(t, inDirs), r)

	// Half a pair, and what is no certificate, are the user's mistakes.
	if err := os.Remove(filepath.Join(dir, host, "client.key")); err != nil {
		t.Fatal(err)
	}
	_, err = client(t, inDirs).Open(t.Context(), r)
	requireError(t, err, image.ErrUsage, "client.cert", "has no key")
	for _, bad := range []image.HostOptions{{CACert: "hosts_test.go"}, {ClientCert: certFile}, {ClientCert: certFile, ClientKey: certFile}, {CACert: "none"}} {
		_, err := client(t, func(o *image.Options) { o.Hosts = map[string]image.HostOptions{host: bad} }).Open(t.Context(), r)
		requireError(t, err, image.ErrUsage)
	}
}

// What the user names must be readable; what is usual on a machine may be root's own.
func TestUnreadableCertDirs(t *testing.T) {
	reg := imagetest.NewRegistry(t, true)
	r := ref(t, reg.Host+"/app:1")
	push(t, client(t), r, linux(t, "amd64", "x"))
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	dirs := []string{file}
	if os.Geteuid() != 0 { // root may read everything
		closed := filepath.Join(t.TempDir(), "closed")
		if err := os.Mkdir(closed, 0); err != nil {
			t.Fatal(err)
		}
		dirs = append(dirs, closed)
	}
	for _, dir := range dirs {
		_, err := client(t, func(o *image.Options) { o.CertDirs = []string{dir} }).Open(t.Context(), r)
		requireError(t, err, image.ErrUsage, dir)
	}
	open(t, client(t, func(o *image.Options) { o.UsualCertDirs = dirs }), r)
}

// No directory is read for what is no host's name.
func TestCertDirsOfNoHost(t *testing.T) {
	dir := t.TempDir()
	writePEM(t, filepath.Join(dir, "client.key"), "PRIVATE KEY", nil)
	for _, host := range []string{"..", "."} {
		c := client(t, func(o *image.Options) {
			o.CertDirs = []string{filepath.Join(dir, "x")}
			o.InsecureRegistries = []string{host}
		})
		_, err := c.Open(t.Context(), image.Ref{Transport: image.Registry, Repository: host + "/app", Tag: "1"})
		requireError(t, err, image.ErrUsage, "not the name of a host")
	}
}

func TestDefaultCertDirs(t *testing.T) {
	got := strings.Join(image.DefaultCertDirs("/home/me"), " ")
	if got != "/home/me/.config/containers/certs.d /etc/containers/certs.d /etc/docker/certs.d" {
		t.Error(got)
	}
}

// connectProxy is a proxy that leads every tunnel to one place, and counts them.
func connectProxy(t *testing.T, to string, asked *atomic.Int64) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		asked.Add(1)
		far, err := new(net.Dialer).DialContext(r.Context(), "tcp", to)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		near, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			_ = far.Close()
			return
		}
		defer near.Close()
		if _, err := io.WriteString(near, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
			_ = far.Close()
			return
		}
		go func() {
			defer far.Close()
			_, _ = io.Copy(far, buffered)
		}()
		_, _ = io.Copy(near, far)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// The environment says which hosts are reached by a proxy. It is read once in a process, so another one tries.
func TestProxy(t *testing.T) {
	// Proxies are for hosts elsewhere only; of this name nobody is (RFC 6761).
	const name = "registry.test/app:1"
	if ca := os.Getenv("NANOPATCH_TEST_PROXIED"); ca != "" {
		_, err := client(t, func(o *image.Options) { o.CACert, o.Retry.Tries = ca, 1 }).Open(t.Context(), ref(t, name))
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	reg := imagetest.NewRegistry(t, true)
	push(t, client(t), ref(t, reg.Host+"/app:1"), linux(t, "amd64", "x"))
	_, certFile, keyFile := certificate(t, t.TempDir(), "registry.test")
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(reg)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	defer server.Close()
	var asked atomic.Int64
	proxy := connectProxy(t, server.Listener.Addr().String(), &asked)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	try := func(env ...string) error {
		cmd := exec.CommandContext(t.Context(), program, "-test.run=^TestProxy$", "-test.v")
		cmd.Env = append(os.Environ(), append(env, "NANOPATCH_TEST_PROXIED="+certFile)...)
		out, err := cmd.CombinedOutput()
		t.Logf("%s", out)
		return err
	}
	if err := try("HTTPS_PROXY="+proxy, "NO_PROXY=other.example"); err != nil || asked.Load() == 0 {
		t.Errorf("by proxy: %v, asked %d times", err, asked.Load())
	}
	asked.Store(0)
	var exit *exec.ExitError
	if err := try("HTTPS_PROXY="+proxy, "NO_PROXY=registry.test"); !errors.As(err, &exit) || asked.Load() != 0 {
		t.Errorf("past the proxy: %v, asked %d times", err, asked.Load())
	}
}

// No more requests than are allowed reach a host at once, and none waits for ever.
func TestHostLimit(t *testing.T) {
	reg := imagetest.NewRegistry(t, true)
	var now, most atomic.Int64
	reg.Answer(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/v2/" {
			return false
		}
		n := now.Add(1)
		for {
			m := most.Load()
			if n <= m || most.CompareAndSwap(m, n) {
				break
			}
		}
		time.Sleep(2 * time.Millisecond)
		now.Add(-1)
		return false
	})
	layers := make([]map[string]string, 12)
	for i := range layers {
		layers[i] = map[string]string{"file": strings.Repeat("x", i+1)}
	}
	img := imagetest.Image(t, "application/vnd.oci.image.manifest.v1+json", "linux/amd64", layers...)
	for _, limit := range []int{1, 3} {
		most.Store(0)
		c := client(t, func(o *image.Options) {
			o.Jobs = 12
			o.Hosts = map[string]image.HostOptions{reg.Host: {Concurrency: limit}}
		})
		r := ref(t, reg.Host+"/app"+strings.Repeat("x", limit)+":1")
		push(t, c, r, img)
		// Reads and writes have places of their own.
		if got := most.Load(); got > int64(2*limit) {
			t.Errorf("%d requests at once, allowed are %d in each direction", got, limit)
		}
		// A copy within the registry needs a place in each direction.
		src := open(t, c, r)
		repo, err := c.Repository(ref(t, reg.Host+"/copy"+strings.Repeat("x", limit)+":1"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := repo.Push(t.Context(), src.Images[0].Image); err != nil {
			t.Fatal(err)
		}
	}
}
