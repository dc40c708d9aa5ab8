//go:build e2e

package oracle

// recipe says how an image is built.
type recipe struct {
	name    string
	release *release
	// brief puts it among the images of `make e2e`.
	brief bool
	// slim leaves out documentation as the slim images of Docker's library do.
	slim bool
	// base are packages of the lowest layer, beside the essential ones and apt.
	base []string
	// layers are built above it, in this order.
	layers []step
	// services are started from the result, by their names in services_test.go.
	services []string
}

// step is a layer: packages are installed, then script runs.
type step struct {
	packages []string
	script   string
}

// recipes lists all images of the oracle.
var recipes = []recipe{
	{name: "bookworm-minbase", release: bookworm, brief: true},
	{name: "bookworm-slim", release: bookworm, slim: true, layers: []step{
		{packages: []string{"ca-certificates", "git", "less", "openssh-client", "rsync", "vim-tiny", "wget"}},
	}, services: []string{"git"}},
	{name: "bookworm-web", release: bookworm, brief: true, layers: []step{
		{packages: []string{"ca-certificates", "curl", "nginx", "openssl", "redis-server"}},
		{script: "echo '# ours' >>/etc/nginx/nginx.conf; rm /usr/share/nginx/html/index.html; mkdir /srv/app; chmod 700 /etc/redis"},
	}, services: []string{"nginx", "redis"}},
	{name: "bookworm-local", release: bookworm, layers: []step{
		{packages: []string{
			"ca-certificates", "curl", "nano", "nginx", "openssh-server", "openssl", "rsync", "sudo", "systemd", "vim-tiny", "wget",
		}},
		{script: localEdits},
	}, services: []string{"nginx", "sshd", "tls"}},
	{name: "bookworm-python", release: bookworm, layers: []step{
		{packages: []string{"gunicorn", "python3-cryptography", "python3-flask", "python3-pip", "python3-requests", "python3-venv"}},
		{script: "python3 -m venv --without-pip /srv/app; echo 'import flask, requests' >/srv/app/app.py; python3 -m compileall -q /srv/app; python3 -m compileall -q -f /usr/lib/python3 /usr/lib/python3.11"},
	}, services: []string{"python"}},
	{name: "trixie-python", release: trixie, layers: []step{
		{packages: []string{"gunicorn", "krb5-user", "python3-django", "python3-libxml2", "python3-pil", "python3-pip"}},
		{script: "mkdir /srv/app; echo 'import django, PIL' >/srv/app/app.py; python3 -m compileall -q /srv/app"},
	}, services: []string{"python"}},
	{name: "trixie-postgres", release: trixie, layers: []step{
		{packages: []string{"openssh-server", "postgresql", "redis-server", "rsync"}},
	}, services: []string{"postgres", "redis", "sshd"}},
	{name: "trixie-jre", release: trixie, layers: []step{
		{packages: []string{"ca-certificates-java", "default-jre-headless"}},
		{packages: []string{"curl", "libxml2-utils", "nginx-light"}},
	}, services: []string{"java"}},
	{name: "bullseye-php", release: bullseye, layers: []step{
		{packages: []string{"apache2", "libapache2-mod-php", "php-gd", "php-mysql", "php-xml"}},
		{script: "a2enmod rewrite; sed -i 's/^ServerTokens.*/ServerTokens Prod/' /etc/apache2/conf-available/security.conf"},
	}, services: []string{"php"}},
	{name: "bullseye-tools", release: bullseye, base: []string{"perl"}, layers: []step{
		{packages: []string{"curl", "git", "gnupg", "openssh-server", "python3-pip", "vim"}},
	}, services: []string{"git", "perl", "sshd"}},
	{name: "jammy-build", release: jammy, layers: []step{
		{packages: []string{"build-essential", "git", "libssl-dev", "python3-dev"}},
	}, services: []string{"git", "perl"}},
	{name: "jammy-web", release: jammy, layers: []step{
		{packages: []string{"ca-certificates", "curl", "nginx", "openssl"}},
		{packages: []string{"openssh-server", "php-fpm", "redis-server"}},
	}, services: []string{"nginx", "sshd"}},
	{name: "jammy-large", release: jammy, layers: []step{
		{packages: []string{"build-essential", "git", "libssl-dev", "python3-dev", "vim"}},
		{packages: []string{"curl", "ffmpeg", "imagemagick", "openssh-server", "php-cli", "php-gd", "php-xml"}},
	}, services: []string{"git", "perl", "sshd"}},
	{name: "noble-minbase", release: noble, brief: true},
	{name: "noble-postgres", release: noble, layers: []step{
		{packages: []string{"apache2", "postgresql", "python3-venv"}},
	}, services: []string{"postgres", "python"}},
}

// localEdits is what administrators do to an image by hand. A package of an earlier release left an obsolete conffile
// behind, which dpkg notes in its database.
const localEdits = `
echo '# changed' >>/etc/nginx/nginx.conf
echo '# changed' >>/etc/sudoers
rm /etc/nginx/fastcgi.conf /etc/default/rsync
echo legacy >/etc/nginx/legacy.conf
awk -v line=" /etc/nginx/legacy.conf $(md5sum </etc/nginx/legacy.conf | cut -c 1-32) obsolete" '
	{ print }
	/^Package: / { package = $2 }
	/^Conffiles:/ && package == "nginx-common" { print line }
' /var/lib/dpkg/status >/tmp/status && cat /tmp/status >/var/lib/dpkg/status && rm /tmp/status
openssl req -x509 -newkey rsa:2048 -nodes -keyout /root/local.key -days 3650 -subj /CN=Local -out /usr/local/share/ca-certificates/local.crt
sed -i 's|^mozilla/ACCVRAIZ1.crt|!&|' /etc/ca-certificates.conf
update-ca-certificates
dpkg-divert --local --rename --divert /usr/bin/wget.distrib --add /usr/bin/wget
printf '#!/bin/sh\nexec wget.distrib --no-verbose "$@"\n' >/usr/bin/wget
chmod 755 /usr/bin/wget
dpkg-statoverride --update --add root sudo 4750 /usr/bin/sudo
dpkg-statoverride --update --add root root 0700 /usr/bin/rsync
update-alternatives --set editor /usr/bin/vim.tiny
update-alternatives --set pager /bin/more
apt-mark hold openssl
`
