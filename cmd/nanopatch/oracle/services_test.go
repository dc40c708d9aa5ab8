//go:build e2e

package oracle

import (
	"context"
	"strings"
	"testing"
	"time"
)

// service is a program that is started from a rebuilt image and used.
type service struct {
	// script starts and uses it; it fails where the service does not do its work. What it leaves running ends with it.
	script string
	// says is part of what it prints.
	says string
}

// patience is how long a service may take in all.
const patience = 2 * time.Minute

// until is shell that repeats a command until it succeeds, for a few seconds.
const until = `set -e
until_ok() { for i in $(seq 100); do if "$@" >/dev/null 2>&1; then return 0; fi; sleep 0.1; done; "$@"; }
`

var services = map[string]service{
	"nginx": {script: "nginx -t; nginx; until_ok curl -fsS http://127.0.0.1/; curl -fsS http://127.0.0.1/; nginx -s stop", says: "Welcome to nginx"},
	"redis": {
		script: "redis-server --bind 127.0.0.1 --daemonize yes; until_ok redis-cli ping; redis-cli set k kept; redis-cli get k; redis-cli shutdown nosave",
		says:   "kept",
	},
	"postgres": {
		script: `mkdir -p /run/postgresql; chown postgres /run/postgresql
set -- $(pg_lsclusters -h); pg_ctlcluster "$1" "$2" start
until_ok su postgres -c "psql -Atc 'select 1'"
su postgres -c "psql -Atc \"select 'answer ' || 6 * 7\""; pg_ctlcluster "$1" "$2" stop`,
		says: "answer 42",
	},
	"python": {
		script: `cd /srv; echo served >file; python3 -m http.server 8000 --bind 127.0.0.1 &
get() { python3 -c "import ssl, urllib.request as u; print(u.urlopen('http://127.0.0.1:8000/file').read())"; }
until_ok get; get`,
		says: "served",
	},
	"php": {
		script: `php -v; echo '<?php echo "php ", 6 * 7;' >/var/www/html/x.php; apachectl start
get() { php -r '$s = @file_get_contents("http://127.0.0.1/x.php"); if ($s === false) exit(1); echo $s;'; }
until_ok get; get; apachectl stop`,
		says: "php 42",
	},
	"java": {script: "java -version; keytool -list -cacerts -storepass changeit", says: "trustedCertEntry"},
	"sshd": {script: "mkdir -p /run/sshd; sshd -t; $(command -v sshd); until_ok ssh-keyscan 127.0.0.1; ssh-keyscan -t ed25519 127.0.0.1", says: "ssh-ed25519 "},
	"tls": {
		// A server whose authority only the image knows.
		script: `cd /tmp; echo subjectAltName=DNS:server.local >san
openssl req -newkey rsa:2048 -nodes -keyout key -subj /CN=server.local -out request
openssl x509 -req -in request -CA /usr/local/share/ca-certificates/local.crt -CAkey /root/local.key -CAcreateserial -days 2 -extfile san -out cert
openssl s_server -accept 8443 -cert cert -key key -www >/dev/null 2>&1 &
until_ok curl -fsS --resolve server.local:8443:127.0.0.1 https://server.local:8443/
curl -fsS --resolve server.local:8443:127.0.0.1 https://server.local:8443/`,
		says: "Ciphers supported in s_server",
	},
	"perl": {
		script: `perl -MDigest::SHA=sha256_hex -MEncode -MPOSIX -MStorable -MIO::Socket::INET -e '
my $server = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1") or die; my $port = $server->sockport;
if (!fork) { my $c = $server->accept; print $c sha256_hex("perl"); exit }
print IO::Socket::INET->new("127.0.0.1:$port")->getline'`,
		says: "f0c929a9e723bc62",
	},
	"git": {
		script: `export HOME=/tmp; git config --global user.email a@example; git config --global user.name a
git init -q /srv/g/repo; cd /srv/g/repo; echo content >file; git add file; git commit -q -m first
git daemon --base-path=/srv/g --export-all --listen=127.0.0.1 &
until_ok git clone -q git://127.0.0.1/repo /tmp/copy; cat /tmp/copy/file`,
		says: "content",
	},
}

// start starts the services of an image and uses them.
func start(t *testing.T, c *chroot, names []string) {
	t.Helper()
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			s, known := services[name]
			if !known {
				t.Fatal("no such service")
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			out, err := c.alone(ctx, until+s.script)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(out, s.says) {
				t.Fatalf("it did not say %q:\n%s", s.says, out)
			}
			for line := range strings.Lines(out) {
				if strings.Contains(line, s.says) {
					t.Log(strings.TrimSpace(line))
					break
				}
			}
		})
	}
}
