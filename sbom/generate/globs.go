package generate

// Two lists say which files the catalogers read. The first is not written by hand: a test asks the catalogers of the syft
// in go.mod what they look for and fails when this list differs, so an upgrade cannot miss a new one.

// catalogerGlobs are the patterns and paths that the image catalogers search an image for.
var catalogerGlobs = []string{
	"**/*.BPL", "**/*.DLL", "**/*.EXE", "**/*.app/Contents/Info.plist", "**/*.bpl", "**/*.deps.json", "**/*.dll",
	"**/*.ear", "**/*.egg-info", "**/*.exe", "**/*.far", "**/*.gguf", "**/*.hpi", "**/*.jar", "**/*.jpi", "**/*.kar",
	"**/*.lpkg", "**/*.nar", "**/*.par", "**/*.rar", "**/*.rockspec", "**/*.safetensors", "**/*.sar", "**/*.war",
	"**/*.zap", "**/*.zip", "**/*DIST-INFO/METADATA", "**/*EGG-INFO/PKG-INFO", "**/*dist-info/METADATA",
	"**/*egg-info/PKG-INFO", "**/.meta/*/install.json", "**/Cellar/*/*/.brew/*.rb", "**/DESCRIPTION",
	"**/Library/Taps/*/*/Formula/*.rb", "**/apache*/**/libphp*.so", "**/arangosh", "**/auditbeat",
	"**/auto/**/.packlist", "**/bash", "**/beam.smp", "**/bun", "**/busybox", "**/bzImage", "**/bzImage-*",
	"**/cabal", "**/chrome", "**/composer*", "**/conaninfo.txt", "**/consul", "**/curl", "**/dart", "**/deno",
	"**/doc/linux-modules-*/changelog.Debian.gz", "**/elastic-agent", "**/elixir", "**/elixir/ebin/elixir.app",
	"**/envoy", "**/erlexec", "**/ffmpeg", "**/filebeat", "**/fluent-bit", "**/gcc", "**/getopt", "**/ghc*",
	"**/grafana", "**/grafana-server", "**/gzip", "**/haproxy", "**/heartbeat", "**/helm", "**/httpd",
	"**/installed.json", "**/java", "**/jdb", "**/jq", "**/julia", "**/kernel", "**/kernel-*", "**/ldapsearch",
	"**/lib/apk/db/installed", "**/lib/dpkg/status", "**/lib/dpkg/status.d/*", "**/lib/modules/**/*.ko",
	"**/lib/modules/**/*.ko.gz", "**/lib/modules/**/*.ko.xz", "**/lib/modules/**/*.ko.zst",
	"**/lib/opkg/info/*.control", "**/lib/opkg/status", "**/libQt*Core.so*", "**/libav*", "**/liberts_internal.a",
	"**/libjulia-internal.so", "**/libkrb5.so*", "**/libpypy*.so*", "**/libpython*.so*",
	"**/libstd-????????????????.dylib", "**/libstd-????????????????.so", "**/libswresample*", "**/lighttpd",
	"**/memcached", "**/metricbeat", "**/mongod", "**/mysql", "**/mysqld", "**/ndb_mgmd", "**/ndbd", "**/ndbmtd",
	"**/nginx", "**/nginx-ingress-controller", "**/nix/store/*.drv", "**/nix/var/nix/db/db.sqlite", "**/node",
	"**/openssl", "**/package.json", "**/packages.lock.json", "**/packetbeat", "**/perl", "**/php*",
	"**/php*/**/*.so", "**/php-fpm*", "**/php/.registry/**/*.reg", "**/pilot-agent", "**/pilot-discovery",
	"**/postgres", "**/proftpd", "**/python*", "**/pyvenv.cfg", "**/redis-server", "**/release", "**/ruby",
	"**/snap/manifest.yaml", "**/snap/snapcraft.yaml", "**/specifications/**/*.gemspec", "**/sqlcipher", "**/stack",
	"**/swipl", "**/traefik", "**/usr/share/snappy/dpkg.yaml", "**/valkey-server", "**/var/db/pkg/*/*/CONTENTS",
	"**/var/lib/pacman/local/**/desc", "**/var/lib/rpmmanifest/container-manifest-2", "**/vault", "**/vmlinux",
	"**/vmlinux-*", "**/vmlinuz", "**/vmlinuz-*", "**/wp", "**/wp-content/plugins/*/*.php", "**/xtrabackup", "**/xz",
	"**/zImage", "**/zImage-*", "**/zstd", "**/{firefox,firefox.exe}", "**/{go,go.exe}", "**/{mariadb,mysql}",
	"**/{var/lib,usr/share,usr/lib/sysimage}/rpm/{Packages,Packages.db,rpmdb.sqlite}",
	"/bin/busybox", "/etc/os-release", "/etc/redhat-release", "/etc/system-release-cpe",
	"/opt/bitnami/**/.spdx-*.spdx", "/opt/bitnami/.bitnami_components.json", "/usr/lib/os-release",
}

// secondaryGlobs are the files that a cataloger opens once it found one of the first list, and those that are read only on
// some distributions.
var secondaryGlobs = []string{
	// dpkg
	"**/lib/dpkg/info/*.md5sums", "**/lib/dpkg/info/*.conffiles", "/usr/share/doc/*/copyright",
	// distributions: point releases, extended support
	"/etc/debian_version", "/etc/apt/sources.list.d/*", "/etc/apt/auth.conf.d/90ubuntu-advantage",
	"/var/lib/ubuntu-advantage/status.json", "/root/buildinfo/content_manifests/*.json",
	// apk, pacman, portage, nix
	"/etc/apk/repositories", "**/var/lib/pacman/local/*/files", "**/var/lib/pacman/local/*/mtree",
	"**/var/db/pkg/*/*/LICENSE", "**/var/db/pkg/*/*/SIZE", "/etc/portage/license_groups", "**/nix/var/nix/db/schema",
	// Python
	"**/*dist-info/*.txt", "**/*dist-info/RECORD", "**/*dist-info/direct_url.json", "**/*DIST-INFO/*.txt",
	"**/*DIST-INFO/RECORD", "**/*egg-info/*.txt", "**/*EGG-INFO/*.txt", "**/*dist-info/licenses/**",
	// .NET, Perl, binaries that keep their version in a file beside them
	"**/libman.json", "**/nodejs", "**/.meta/*/MYMETA.json", "**/perllocal.pod", "**/VERSION*",
}

// hugeGlobs are files of which only the first part is read, once: a copy of them costs more than reading them again.
var hugeGlobs = []string{"**/*.gguf", "**/*.safetensors"}

// licenseNames begin the names, in lower case, of the license files that catalogers look for beside a package.
var licenseNames = []string{"license", "licence", "copying", "unlicen", "mit-licen", "mit_licen", "al2.0", "lgpl2.1"}
