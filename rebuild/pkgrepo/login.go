package pkgrepo

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
)

// maxLoginFile bounds a file of logins, in bytes.
const maxLoginFile = 1 << 20

// Login is a name and a password for a part of the web.
type Login struct {
	// Scheme is the one that the login is for; empty stands for https, so that no password crosses a network in the
	// open unless somebody wrote "http".
	Scheme string
	// Host is a host name, with ":PORT" for one port only.
	Host string
	// Path is what the path of a URL begins with; empty covers all. As in apt, where there is one the Host has the port of
	// a URL that states its port.
	Path           string
	User, Password string
}

func (l Login) covers(u *url.URL) bool {
	scheme := l.Scheme
	if scheme == "" {
		scheme = "https"
	}
	host := strings.EqualFold(l.Host, u.Host) || l.Path == "" && strings.EqualFold(l.Host, u.Hostname())
	return u.Scheme == scheme && host && strings.HasPrefix(u.Path, l.Path)
}

// String names what the login is for, never the password.
func (l Login) String() string {
	if l.Scheme == "" {
		return l.Host + l.Path
	}
	return l.Scheme + "://" + l.Host + l.Path
}

// Logins are tried in order: the first that covers a URL counts.
type Logins []Login

func (ls Logins) find(u *url.URL) (Login, bool) {
	i := slices.IndexFunc(ls, func(l Login) bool { return l.covers(u) })
	if i < 0 {
		return Login{}, false
	}
	return ls[i], true
}

// LoadLogins reads logins from a file of this host, in the format of ParseLogins.
func LoadLogins(file string) (Logins, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("reading logins: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxLoginFile+1))
	if err == nil && len(data) > maxLoginFile {
		err = fmt.Errorf("larger than %d bytes", maxLoginFile)
	}
	var logins Logins
	if err == nil {
		logins, err = ParseLogins(string(data))
	}
	if err == nil && len(logins) == 0 {
		err = errors.New("no login in it: want machine HOST login NAME password SECRET")
	}
	if err != nil {
		return nil, fmt.Errorf("reading logins from %s: %w", file, err)
	}
	return logins, nil
}

// ParseLogins reads the format that apt gave the .netrc file (apt_auth.conf(5)): the words "machine
// [PROTOCOL://]HOST[:PORT][/PATH]", "login NAME" and "password SECRET" in any layout. As in apt, other words are passed over, and
// a login may lack its password; other than in apt, a line that begins with "#" is a comment whatever follows. No error
// repeats a word: it might be a password.
func ParseLogins(text string) (Logins, error) {
	var all Logins
	var cur Login
	add := func() {
		if cur.Host != "" && cur.User+cur.Password != "" {
			all = append(all, cur)
		}
	}
	words := strings.Fields(uncommented(text))
	for i := 0; i+1 < len(words); i++ {
		value := words[i+1]
		switch words[i] {
		case "machine":
			add()
			var err error
			if cur, err = parseMachine(value); err != nil {
				return nil, err
			}
		case "login":
			cur.User = value
		case "password":
			cur.Password = value
		default:
			continue
		}
		i++
	}
	add()
	return all, nil
}

// uncommented leaves out lines that begin with "#".
func uncommented(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(strings.TrimSpace(line), "#") {
			b.WriteString(line)
		}
	}
	return b.String()
}

func parseMachine(value string) (Login, error) {
	scheme, rest, ok := strings.Cut(value, "://")
	if !ok {
		scheme, rest = "", value
	}
	host, path, slash := strings.Cut(rest, "/")
	if slash {
		path = "/" + path
	}
	if host == "" || strings.ContainsAny(host, "@?#") {
		return Login{}, errors.New("a machine that is no [PROTOCOL://]HOST[:PORT][/PATH]")
	}
	return Login{Scheme: scheme, Host: host, Path: path}, nil
}

// ErrSecretInAddress says that an address has a password in it, or a query, which may be one: addresses are published with plans,
// lockfiles and attestations.
var ErrSecretInAddress = errors.New("a login or a query in an address would be published with plans and attestations: put a login into a file for --repo-auth")

// CheckAddress refuses an address that may have a secret in it.
func CheckAddress(u *url.URL) error {
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%s://%s%s: %w", u.Scheme, u.Host, u.Path, ErrSecretInAddress)
	}
	return nil
}

// authorize gives a request the login that covers its URL, or none, and tells which.
func (c *Client) authorize(req *http.Request) (known bool) {
	req.Header.Del("Authorization")
	login, known := c.logins.find(req.URL)
	if known {
		req.SetBasicAuth(login.User, login.Password)
	}
	return known
}

// WithLogins returns a Client on the same cache, connections, limits and counters that knows further logins, after those of c.
func (c *Client) WithLogins(more Logins) *Client {
	if len(more) == 0 {
		return c
	}
	d := *c
	d.logins = slices.Concat(c.logins, more)
	d.http = &http.Client{Transport: c.http.Transport, CheckRedirect: d.checkRedirect}
	return &d
}
