package config

import (
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	c, err := Parse([]byte(`
level: minor
only: ["lib*"]
hold:
  - name: "linux-*"
    until: 2030-02-01
rules:
  - match: openssl
    level: patch
    minAge: 7d
sign:
  key: cosign.key
output: [json=result.json, table]
`))
	if err != nil {
		t.Fatal(err)
	}
	until, err := c.Hold[0].UntilTime()
	if err != nil || until != time.Date(2030, 2, 1, 0, 0, 0, 0, time.UTC) {
		t.Errorf("until %v, %v", until, err)
	}
	if c.Level != "minor" || c.Rules[0].MinAge != "7d" || c.Sign.Key != "cosign.key" || len(c.Output) != 2 {
		t.Errorf("got %+v", c)
	}
	if empty, err := Parse([]byte(" \n")); err != nil || empty.Level != "" {
		t.Errorf("an empty file: %+v, %v", empty, err)
	}
}

// TestParseRejects: each mistake is named with its line and key.
func TestParseRejects(t *testing.T) {
	for file, want := range map[string]string{
		"level: patch\nlvl: minor\n":                         `[2:1] unknown field "lvl"`,
		"level: patch\nlevel: minor\n":                       "[2:1]",
		"only: 1\n":                                          "[1:",
		"level: tiny\n":                                      `[1:8] level: "tiny": want one of revision`,
		"\nlevelBy: age\n":                                   "[2:10] levelBy:",
		"only:\n  - a\n  - '['\n":                            `[3:5] only[1]: "[" is not a glob`,
		"hold:\n  - reason: no name\n":                       "hold[0].name: is missing",
		"hold:\n  - name: a\n    until: soon\n":              "[3:12] hold[0].until:",
		"rules:\n  - match: a\n  - match: ''\n":              "[3:12] rules[1].match: is missing",
		"rules:\n  - match: a\n    level: tiny\n":            "[3:12] rules[0].level:",
		"rules:\n  - match: a\n    minAge: soon\n":           "[3:13] rules[0].minAge:",
		"minAge: -3h\n":                                      "[1:9] minAge:",
		"minAge: xd\n":                                       "[1:9] minAge:",
		"output: [table, yaml=x]\n":                          "[1:17] output[1]:",
		"registries:\n  example.org:\n    insecure: maybe\n": "[3:",

		"cacheSize: lots\n": `[1:12] cacheSize: "lots" is not a size`,
		"registries:\n  example.org:\n    chunkSize: -1\n":                       "[3:16] registries.'example.org'.chunkSize:",
		"registries:\n  localhost:\n    concurrency: -1\n":                       "[3:18] registries.localhost.concurrency: is negative",
		"registries:\n  a.b:\n    clientCert: c.pem\n":                           "[3:15] registries.'a.b': clientCert and clientKey go together",
		"registries:\n  A.b: {insecure: true}\n  a.b: {insecure: true}\n":        "[3:8] registries.'a.b': is the same as A.b",
		"registries:\n  a.b/c:\n    insecure: true\n":                            "[3:13] registries.'a.b/c': only mirrors",
		"registries:\n  a.b:\n    mirrors: [{insecure: true}]\n":                 "registries.'a.b'.mirrors[0].location: is missing",
		"registries:\n  a.b:\n    mirrors: [{location: c, pullFromMirror: x}]\n": "[3:45] registries.'a.b'.mirrors[0].pullFromMirror:",
	} {
		if _, err := Parse([]byte(file)); err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: got %v, want %s…", file, err, want)
		}
	}
}
