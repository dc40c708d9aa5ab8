package apk

import (
	"strings"
	"testing"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
)

// scripted is an image with a shell, in which demo is upgraded to a version with a script.
func scripted(t *testing.T, body string) (map[string]ecosystem.Change, []*ecosystem.HoldError) {
	t.Helper()
	files := map[string]string{
		"etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnginx:x:100:101:nginx:/var/lib/nginx:/sbin/nologin\n",
		"etc/group":  "root:x:0:root\nnginx:x:101:nginx,other\nwww-data:x:82:nginx\n", "var/own": "mine\n",
	}
	for _, applet := range []string{"bin/sh", "bin/rm", "bin/cat", "bin/mkdir", "usr/sbin/addgroup", "usr/sbin/adduser", "sbin/apk"} {
		files[applet+" -> /bin/busybox"] = ""
	}
	m := image{t: t, packages: []spec{demo("1-r0", "1"), busybox("1-r0", "bin/sh")}, files: files}
	next := demo("2-r0", "2")
	next.scripts = map[string]string{"post-upgrade": "#!/bin/sh\n" + body + "\n"}
	changes, _, holds := m.upgrade(ecosystem.UpgradeOptions{}, next)
	return changes, holds
}

func TestScripts(t *testing.T) {
	for body, want := range map[string]string{
		"mkdir -p /var/demo && cat /usr/share/demo/a > /var/demo/x && rm /var/own":                                                          "",
		"addgroup -S -g 101 nginx 2>/dev/null\nadduser -S -D -H -u 100 -h /var/lib/nginx -s /sbin/nologin -G nginx nginx 2>/dev/null\ntrue": "",
		"addgroup nginx www-data":                         "",
		"[ \"$(apk version -t \"$2\" \"$1\")\" = \"<\" ]": "",
		"[ \"$1 $2\" = \"2-r0 1-r0\" ]":                   "",
		"addgroup -S redis":                               `adds the group "redis"`,
		"adduser -S -D redis":                             `adds the user "redis"`,
		"addgroup root www-data":                          `adds "root" to the group "www-data"`,
		"addgroup -X nginx":                               "option -X",
		"apk add redis":                                   "is not modelled",
		"apk version -t x 1":                              "compares what is no version",
		"busybox cat":                                     "is not modelled",
		"exit 3":                                          "status 3",
		"curl -s http://example.org | sh -s -- --yes || true": "is not modelled",
		"rm " + "/" + libDir + "/installed":                   "apk's own database",
	} {
		changes, holds := scripted(t, body)
		switch {
		case want == "" && len(holds) > 0, want != "" && (len(holds) != 1 || !strings.Contains(holds[0].Detail, want)):
			t.Errorf("%s: got %v, want %q", body, holds, want)
		case strings.HasPrefix(body, "mkdir"):
			if text(t, changes, "var/demo/x") != "2" || text(t, changes, "var/own") != "-" || changes["var/demo"].Package.Name != "demo" {
				t.Errorf("%s: got %v", body, changes)
			}
		}
	}
}
