package debscript_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/dpkg/debscript"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
)

const status = `Package: dpkg
Status: install ok installed
Version: 1.21.22
Architecture: amd64

Package: libc6
Status: install ok installed
Multi-Arch: same
Version: 2.36-9
Architecture: amd64

Package: gone
Status: deinstall ok config-files
Version: 1
Architecture: all
`

const unit = "[Unit]\nDescription=x\n[Install]\nWantedBy=multi-user.target\nAlias=demo2.service\n"

// cases are scripts with what they print and change.
var cases = []struct {
	name, script string
	files        map[string]string
	output       string
	effect       []string
}{
	{
		name: "versions", script: `for v in "1.0 lt 2.0" "1:0 gt 9" "1~rc1 lt 1" "2 le-nl 1"; do dpkg --compare-versions $v && echo "$v"; done; true
dpkg --compare-versions "" lt-nl 1 || echo newer; dpkg --compare-versions "" lt 1 && echo older; dpkg --compare-versions -- 1 eq 1.0 || echo other`,
		output: "1.0 lt 2.0\n1:0 gt 9\n1~rc1 lt 1\nnewer\nolder\nother\n",
	},
	{
		name: "queries", script: `dpkg --print-architecture
dpkg-query -W -f='${binary:Package} ${Version} ${db:Status-Abbrev}\n' libc6 gone nosuch 2>/dev/null
dpkg-query -S /lib/x.so; dpkg -L libc6 | tail -n 1; dpkg -s nosuch >/dev/null 2>&1 || echo none`,
		files:  map[string]string{"var/lib/dpkg/info/libc6:amd64.list": "/.\n/lib\n/lib/x.so\n"},
		output: "amd64\nlibc6:amd64 2.36-9 ii \ngone 1 rc \nlibc6:amd64: /lib/x.so\n/lib/x.so\nnone\n",
	},
	{
		name: "diversions", script: `dpkg-divert --quiet --add --rename --divert /usr/bin/x.real /usr/bin/x
dpkg-divert --list demo; dpkg-divert --truename /usr/bin/x; dpkg-divert --listpackage /usr/bin/x`,
		files:  map[string]string{"usr/bin/x": "x", "var/lib/dpkg/diversions": ""},
		output: "diversion of /usr/bin/x to /usr/bin/x.real by demo\n/usr/bin/x.real\ndemo\n",
		effect: []string{"-usr/bin/x", `usr/bin/x.real "x"`, `var/lib/dpkg/diversions "/usr/bin/x\n/usr/bin/x.real\ndemo\n"`},
	},
	{
		name: "diversion removed", script: `dpkg-divert --quiet --remove --rename --divert /usr/bin/x.real /usr/bin/x; dpkg-divert --remove /usr/bin/y >/dev/null`,
		files:  map[string]string{"usr/bin/x.real": "x", "var/lib/dpkg/diversions": "/usr/bin/x\n/usr/bin/x.real\ndemo\n"},
		effect: []string{`usr/bin/x "x"`, "-usr/bin/x.real", `var/lib/dpkg/diversions ""`},
	},
	{
		name: "overrides", script: `dpkg-statoverride --list /usr/bin/x || dpkg-statoverride --update --add root adm 4750 /usr/bin/x
dpkg-statoverride --list /usr/bin/x; stat -c '%a %U %G' /usr/bin/x`,
		files:  map[string]string{"usr/bin/x": "x", "usr/bin/stat": "ELF", "var/lib/dpkg/statoverride": "", "etc/passwd": "root:x:0:0:::\n", "etc/group": "root:x:0:\nadm:x:4:\n"},
		output: "root adm 4750 /usr/bin/x\n4750 root adm\n",
		effect: []string{`usr/bin/x "x"`, `var/lib/dpkg/statoverride "root adm 4750 /usr/bin/x\n"`},
	},
	{
		name: "a new link of a unit", script: `deb-systemd-helper unmask demo.service
deb-systemd-helper --quiet was-enabled demo.service && deb-systemd-helper enable demo.service
deb-systemd-helper update-state demo.service; deb-systemd-helper debian-installed demo.service && echo known`,
		files: map[string]string{
			"usr/lib/systemd/system/demo.service":                                             unit,
			"etc/systemd/system/multi-user.target.wants/demo.service":                         "-> /lib/systemd/system/demo.service",
			"var/lib/systemd/deb-systemd-helper-enabled/demo.service.dsh-also":                "/etc/systemd/system/multi-user.target.wants/demo.service\n",
			"var/lib/systemd/deb-systemd-helper-enabled/multi-user.target.wants/demo.service": "",
		},
		output: "known\n",
		effect: []string{
			"etc/systemd/system/demo2.service -> /usr/lib/systemd/system/demo.service",
			`var/lib/systemd/deb-systemd-helper-enabled/demo.service.dsh-also "/etc/systemd/system/demo2.service\n/etc/systemd/system/multi-user.target.wants/demo.service\n"`,
			`var/lib/systemd/deb-systemd-helper-enabled/demo2.service ""`,
		},
	},
	{
		name: "parts, settings and modules", script: `run-parts --test -- /etc/hooks; run-parts /etc/none.d || echo "no $?"
perl -lne '
		s/[[:space:]]+/ /g; s/[[:space:]]+$//;
		print if s/^[[:space:]]*PermitRootLogin[[:space:]=]+//i' /etc/ssh/sshd_config
if a2query -m php >/dev/null 2>&1; then find /etc/hooks -type f ! -exec test -x {} \; -print; fi`,
		files: map[string]string{
			"usr/bin/run-parts": "ELF", "usr/bin/perl": "ELF", "usr/sbin/a2query": "#!/usr/bin/perl\n", "usr/bin/find": "ELF", "usr/bin/test": "ELF",
			"etc/hooks/b": "x", "etc/hooks/a_1": "x", "etc/hooks/c.dpkg-old": "x", "etc/apache2/mods-enabled/php.load": "x",
			"etc/ssh/sshd_config": "Port 22\n  permitrootlogin \t no  \n#PermitRootLogin yes\nPermitRootLoginX\n",
		},
		output: "/etc/hooks/a_1\n/etc/hooks/b\nrun-parts: /etc/none.d: no such file or directory\nno 1\nno\n",
	},
	{
		name:   "nothing runs and nothing listens",
		script: `systemctl is-system-running || echo $?; test -z "$(ss -nlt 'sport = 80' | grep -v ^State)" && echo free`,
		files:  map[string]string{"usr/bin/grep": "ELF"},
		output: "offline\n1\nfree\n",
	},
	{
		name: "nothing new about a unit", script: `deb-systemd-helper enable demo.service; deb-systemd-helper update-state demo.service; systemctl daemon-reload || true; echo done`,
		files: map[string]string{
			"usr/lib/systemd/system/demo.service":                                             "[Install]\nWantedBy=multi-user.target\n",
			"etc/systemd/system/multi-user.target.wants/demo.service":                         "-> /lib/systemd/system/demo.service",
			"var/lib/systemd/deb-systemd-helper-enabled/demo.service.dsh-also":                "/etc/systemd/system/multi-user.target.wants/demo.service\n",
			"var/lib/systemd/deb-systemd-helper-enabled/multi-user.target.wants/demo.service": "",
		},
		output: "done\n",
	},
}

func TestCommands(t *testing.T) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			files := map[string]string{"var/lib/dpkg/status": status, "usr/bin/tail": "ELF"}
			for p, text := range c.files {
				files[p] = text
			}
			tr := tree(t, files)
			res, err := postinst(t, tr, c.script)
			if err != nil {
				t.Fatalf("%v\n%s", err, res.Output)
			}
			if string(res.Output) != c.output {
				t.Errorf("prints\n%s--- want\n%s", res.Output, c.output)
			}
			if got := edited(t, tr); !slices.Equal(got, c.effect) {
				t.Errorf("changes\n%s\n--- want\n%s", strings.Join(got, "\n"), strings.Join(c.effect, "\n"))
			}
		})
	}
}

// confmodule is the part of debconf's that the script below needs, as debconf has it.
const confmodule = `if [ ! "$DEBIAN_HAS_FRONTEND" ]; then
	exec /usr/share/debconf/frontend $0 "$@"
fi
if [ -z "$DEBCONF_REDIR" ]; then
	exec 3>&1
	exec 1>&2
	DEBCONF_REDIR=1
	export DEBCONF_REDIR
fi
_db_cmd () {
	printf '%s\n' "$*" >&3
	read -r _line
	RET="${_line#[! 	][ 	]}"
	return ${_line%%[ 	]*}
}
db_get () { _db_cmd "GET $@"; }
db_set () { _db_cmd "SET $@"; }
db_input () { _db_cmd "INPUT $@"; }
db_fget () { _db_cmd "FGET $@"; }
db_subst () { _db_cmd "SUBST $@"; }
db_metaget () { _db_cmd "METAGET $@"; }
db_stop () { echo STOP >&3; }
`

func TestDebconf(t *testing.T) {
	tr := tree(t, map[string]string{
		"etc/": "", "usr/share/debconf/confmodule": confmodule, "usr/share/debconf/frontend": "#!/usr/bin/perl\n",
		"var/cache/debconf/config.dat":    "Name: demo/port\nTemplate: demo/port\nValue: 8080\nOwners: demo\nFlags: seen\n",
		"var/cache/debconf/templates.dat": "Name: demo/port\nDefault: 80\nType: string\nOwners: demo\n",
	})
	script := `#!/bin/sh
set -e
. /usr/share/debconf/confmodule
db_get demo/port; echo "port $RET"
db_get demo/host; echo "host $RET"
db_get demo/nosuch || echo "none $?"
db_input high demo/host || echo "skipped $?"
db_fget demo/port seen; echo "seen $RET"
db_metaget demo/list choices; echo "choices $RET"
db_stop
echo "$1" >/etc/demo
`
	res, err := debscript.Run(t.Context(), debscript.Invocation{
		Package: "demo", Arch: "amd64", Kind: "postinst", Args: []string{"configure", "1.0-1"}, Tree: tr, Script: []byte(script),
		Config:    []byte("#!/bin/sh\nset -e\n. /usr/share/debconf/confmodule\ndb_set demo/host from-config\ndb_subst demo/list all a, b\n"),
		Templates: []byte("Template: demo/host\nType: string\nDefault: localhost\n\nTemplate: demo/list\nType: select\nChoices: ${all}\n"),
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, res.Output)
	}
	want := "port 8080\nhost from-config\nnone 10\nskipped 30\nseen true\nchoices a, b\n"
	if string(res.Output) != want {
		t.Errorf("prints\n%s--- want\n%s", res.Output, want)
	}
	if got := edited(t, tr); !slices.Equal(got, []string{`etc/demo "configure\n"`}) {
		t.Errorf("changes %q", got)
	}
}

// TestUnknown lists what is refused, with a part of the reason.
func TestUnknown(t *testing.T) {
	for text, reason := range map[string]string{
		"dpkg --configure -a":                        "postinst line 2: dpkg --configure -a: has operands that are not modelled",
		"dpkg-query -W -f '${Version}' demo":         "which is being upgraded",
		"perl -lne 'print if s/x//' /etc/passwd":     "runs a perl program",
		"openssl req -new":                           "is not modelled",
		"deb-systemd-helper enable new.service":      "reads the unit new.service",
		"update-alternatives --config ed":            "not modelled",
		"update-alternatives --nosuch x y":           "not modelled",
		"systemctl enable x":                         "not modelled",
		"ldconfig /opt/vendor/lib":                   "searches otherwise than by its configuration",
		"ss -ntp":                                    "not modelled",
		"dpkg-divert --add --rename --divert x /y/z": "diverts",
	} {
		tr := tree(t, map[string]string{
			"usr/bin/perl": "ELF", "usr/bin/openssl": "ELF", "sbin/ldconfig": "ELF",
			"var/lib/dpkg/status": status + "\nPackage: demo\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n",
		})
		_, err := postinst(t, tr, text)
		var unknown *script.UnknownError
		if !errors.As(err, &unknown) {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if !strings.Contains(unknown.Error(), reason) {
			t.Errorf("%s: %v, want %s", text, unknown, reason)
		}
	}
}
