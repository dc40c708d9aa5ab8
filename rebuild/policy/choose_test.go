package policy

import (
	"testing"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/version"
)

// What apt takes as the candidate, and what the rules say to it, for one package at a time.
func TestChoice(t *testing.T) {
	for name, c := range map[string]struct {
		installed  string
		candidates []string
		rules      func(*Rules)
		want       []string
	}{
		"up to date": {
			"a 1.0-1", []string{"stable a 1.0-1"}, nil, nil,
		},
		"an update of the release": {
			"a 1.0-1", []string{"stable a 1.0-2"}, nil, []string{"update a 1.0-1 -> 1.0-2 (revision)"},
		},
		"the newest of several": {
			"a 1.0-1",
			[]string{"stable a 1.0-2", "security a 1.0-4", "stable a 1.0-3"},
			nil,
			[]string{"update a 1.0-1 -> 1.0-4 (revision) security"},
		},
		"a point release that contains a security fix": {
			"a 1.0-1",
			[]string{"security a 1.0-2", "stable a 1.0-3"},
			nil,
			[]string{"update a 1.0-1 -> 1.0-3 (revision) security"},
		},
		"a security fix that is installed does not count": {
			"a 1.0-2", []string{"security a 1.0-2", "stable a 1.0-3"}, nil, []string{"update a 1.0-2 -> 1.0-3 (revision)"},
		},
		"in a frozen release nothing is more than a patch": {
			"a 1.2.3-1", []string{"stable a 2.0.0-1"}, nil, []string{"update a 1.2.3-1 -> 2.0.0-1 (patch) by number major"},
		},
		"by number it is": {
			"a 1.2.3-1",
			[]string{"stable a 2.0.0-1"},
			func(r *Rules) { r.LevelBy = LevelByNumber },
			[]string{"held a 1.2.3-1 -> 2.0.0-1, level: a major update, the limit is patch"},
		},
		"a third party's numbers count": {
			"a 1.2.3-1",
			[]string{"third-party a 1.3.0-1"},
			nil,
			[]string{"held a 1.2.3-1 -> 1.3.0-1, level: a minor update, the limit is patch"},
		},
		"a higher limit": {
			"a 1.2.3-1",
			[]string{"third-party a 1.3.0-1"},
			func(r *Rules) { r.Level = version.Minor },
			[]string{"update a 1.2.3-1 -> 1.3.0-1 (minor)"},
		},
		"a lower limit": {
			"a 1.2.3-1",
			[]string{"stable a 1.2.4-1"},
			func(r *Rules) { r.Level = version.Revision },
			[]string{"held a 1.2.3-1 -> 1.2.4-1, level: a patch update, the limit is revision"},
		},
		"the largest step within the limit": {
			"a 1.2.3-1",
			[]string{"third-party a 2.0.0-1", "third-party a 1.2.5-1", "third-party a 1.2.4-1"},
			nil,
			[]string{"update a 1.2.3-1 -> 1.2.5-1 (patch), not 2.0.0-1: level"},
		},
		"backports are left alone": {
			"a 1.0-1", []string{"stable a 1.0-1", "backports a 2.0-1~bpo1"}, nil, nil,
		},
		"what came from backports is kept up to date from there": {
			"a 2.0-1~bpo1",
			[]string{"stable a 1.0-1", "backports a 2.0-2~bpo1"},
			nil,
			[]string{"update a 2.0-1~bpo1 -> 2.0-2~bpo1 (revision)"},
		},
		"backports are judged by number": {
			"a 2.0.1-1~bpo1",
			[]string{"stable a 1.0-1", "backports a 2.1.0-1~bpo1"},
			nil,
			[]string{"held a 2.0.1-1~bpo1 -> 2.1.0-1~bpo1, level: a minor update, the limit is patch"},
		},
		"experimental does not replace even a version that is gone": {
			"a 1.0-1", []string{"experimental a 1.0-2"}, nil, nil,
		},
		"the higher priority wins over the higher version": {
			"a 1.0-1", []string{"stable a 1.0-9", "pin=990 a 1.0-2"}, nil, []string{"update a 1.0-1 -> 1.0-2 (revision)"},
		},
		"a pin keeps the installed version": {
			"a 1.0-1",
			[]string{"stable a 1.0-9", "pin=990 a 1.0-1"},
			nil,
			[]string{"held a 1.0-1 -> 1.0-9, pin: pin priority 500 is less than 990 of the installed version"},
		},
		"a low pin keeps an update away": {
			"a 1.0-1",
			[]string{"pin=50 a 1.0-2"},
			nil,
			[]string{"held a 1.0-1 -> 1.0-2, pin: pin priority 50 is less than 100 of the installed version"},
		},
		"a negative pin": {
			"a 1.0-1", []string{"stable a 1.0-1", "pin=-1 a 1.0-2"}, nil, []string{"held a 1.0-1 -> 1.0-2, pin: pinned to priority -1"},
		},
		"a negative pin beside another update": {
			"a 1.0-1", []string{"stable a 1.0-2", "pin=-1 a 1.0-3"}, nil, []string{"update a 1.0-1 -> 1.0-2 (revision)"},
		},
		"no downgrade": {
			"a 1.0-2", []string{"pin=999 a 1.0-1"}, nil, nil,
		},
		"a downgrade that a pin demands": {
			"a 1.0-2", []string{"stable a 1.0-3", "pin=1000 a 1.0-1"}, nil, []string{"update a 1.0-2 -> 1.0-1 (revision)"},
		},
		"newer than all that is served is not unmanaged": {
			"a 3.0-1", []string{"stable a 1.0-1"}, nil, nil,
		},
		"nobody offers it": {
			"a 1.0-1", nil, nil, []string{"unmanaged a 1.0-1: no configured repository offers it"},
		},
		"a version that nobody can compare": {
			"a bad_version",
			[]string{"stable a 1.0-1"},
			nil,
			[]string{`unmanaged a bad_version: its version cannot be compared: invalid version "bad_version": version number does not start with digit`},
		},
		"a candidate that dpkg would refuse": {
			"a 1.0-1", []string{"third-party a 2_0", "stable a 1.0-2"}, nil, []string{"update a 1.0-1 -> 1.0-2 (revision)"},
		},
		"on hold in dpkg": {
			"a 1.0-1 [hold]",
			[]string{"stable a 1.0-2"},
			nil,
			[]string{"held a 1.0-1 -> 1.0-2, distro-hold: on hold in the package database"},
		},
		"on hold with nothing newer": {
			"a 1.0-1 [hold]", []string{"stable a 1.0-1"}, nil, nil,
		},
		"not selected": {
			"a 1.0-1",
			[]string{"stable a 1.0-2"},
			func(r *Rules) { r.Only = []string{"b*", "lib*"} },
			[]string{"held a 1.0-1 -> 1.0-2, rule: not among the selected packages"},
		},
		"selected": {
			"a 1.0-1",
			[]string{"stable a 1.0-2"},
			func(r *Rules) { r.Only = []string{"b*", "a:amd64"} },
			[]string{"update a 1.0-1 -> 1.0-2 (revision)"},
		},
		"held by rule": {
			"a 1.0-1",
			[]string{"stable a 1.0-2"},
			func(r *Rules) { r.Hold = []HoldRule{{Glob: "?"}} },
			[]string{"held a 1.0-1 -> 1.0-2, rule: held by rule ?"},
		},
		"held until a day to come": {
			"a 1.0-1",
			[]string{"stable a 1.0-2"},
			func(r *Rules) {
				r.Hold = []HoldRule{{Glob: "a", Until: now.AddDate(0, 0, 1), Reason: "breaks the login"}}
			},
			[]string{"held a 1.0-1 -> 1.0-2, rule: breaks the login, until 2026-03-02"},
		},
		"a hold that has ended": {
			"a 1.0-1",
			[]string{"stable a 1.0-2"},
			func(r *Rules) { r.Hold = []HoldRule{{Glob: "a", Until: now}} },
			[]string{"update a 1.0-1 -> 1.0-2 (revision)"},
		},
		"security only": {
			"a 1.0-1",
			[]string{"stable a 1.0-2"},
			func(r *Rules) { r.SecurityOnly = true },
			[]string{"held a 1.0-1 -> 1.0-2, rule: no security repository offers this version"},
		},
		"security only takes the version of the security repository": {
			"a 1.0-1",
			[]string{"security a 1.0-2", "stable a 1.0-3"},
			func(r *Rules) { r.SecurityOnly = true },
			[]string{"update a 1.0-1 -> 1.0-2 (revision) security, not 1.0-3: rule"},
		},
		"too young": {
			"a 1.0-1",
			[]string{"stable age=24h a 1.0-2"},
			func(r *Rules) { r.MinAge = 48 * time.Hour },
			[]string{"held a 1.0-1 -> 1.0-2, min-age: built 2026-02-28, old enough on 2026-03-02"},
		},
		"old enough, or of unknown age": {
			"a 1.0-1",
			[]string{"stable age=48h a 1.0-2"},
			func(r *Rules) { r.MinAge = 48 * time.Hour },
			[]string{"update a 1.0-1 -> 1.0-2 (revision)"},
		},
		"an older one is old enough": {
			"a 1.0-1",
			[]string{"stable age=24h a 1.0-3", "security age=72h a 1.0-2"},
			func(r *Rules) { r.MinAge = 48 * time.Hour },
			[]string{"update a 1.0-1 -> 1.0-2 (revision) security, not 1.0-3: min-age"},
		},
		"an exception for a package": {
			"a 1.2.3-1",
			[]string{"third-party age=24h a 1.3.0-1"},
			func(r *Rules) {
				r.MinAge = time.Hour
				r.Packages = []PackageRule{
					{Glob: "b"}, {Glob: "a*", Level: version.Minor, MinAge: 12 * time.Hour}, {Glob: "a", Level: version.Revision},
				}
			},
			[]string{"update a 1.2.3-1 -> 1.3.0-1 (minor)"},
		},
		"phased updates are taken": {
			"a 1.0-1", []string{"stable phase=0 a 1.0-2"}, nil, []string{"update a 1.0-1 -> 1.0-2 (revision)"},
		},
		"phased updates at this machine's turn": {
			"a 1.0-1",
			[]string{"stable phase=0 a 1.0-3", "stable phase=100 a 1.0-2"},
			func(r *Rules) { r.Phased, r.MachineID = PhasedRespect, "m" },
			[]string{"update a 1.0-1 -> 1.0-2 (revision), not 1.0-3: rule"},
		},
		"a security fix is for all machines": {
			"a 1.0-1",
			[]string{"stable phase=0 a 1.0-3", "security a 1.0-2"},
			func(r *Rules) { r.Phased, r.MachineID = PhasedRespect, "m" },
			[]string{"update a 1.0-1 -> 1.0-3 (revision) security"},
		},
		"a package becomes architecture-independent": {
			"a 1.0-1", []string{"stable a:all 1.0-2"}, nil, []string{"update a 1.0-1 -> 1.0-2 (revision)"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			in := world([]string{c.installed}, c.candidates)
			if c.rules != nil {
				c.rules(&in.Rules)
			}
			expect(t, in, c.want...)
		})
	}
}

// Two repositories offer one version: the file is that of the higher priority, else of the repository named first.
func TestWhoseFile(t *testing.T) {
	in := world([]string{"a 1.0-1"}, []string{"stable a 1.0-2", "security a 1.0-2", "third-party a 1.0-2"})
	d, err := Decide(in)
	if err != nil || d.Updates[0].To.Origin != stable || !d.Updates[0].Security {
		t.Errorf("got %+v, %v, want the file of stable and a security update", d.Updates, err)
	}
	in = world([]string{"a 1.0-1"}, []string{"stable a 1.0-2", "pin=600 a 1.0-2"})
	if d, err = Decide(in); err != nil || d.Updates[0].To.Origin != thirdParty || d.Updates[0].Level != version.Revision {
		t.Errorf("got %+v, %v, want the file of the pinned repository", d.Updates, err)
	}
}

// What the effects of an update showed comes back, and is about the version that would have been taken.
func TestHeldByEffects(t *testing.T) {
	in := world([]string{"a 1.2.3-1", "b 1.0-1 needs: a (>= 1.2.3-1)", "c 1.0-1"},
		[]string{"third-party a 1.2.4-1", "third-party a 2.0.0-1", "stable b 1.0-2 needs: a (>= 1.2.4)", "stable c 1.0-1"})
	key := func(name string) ecosystem.Key { return ecosystem.Key{Name: name, Arch: "amd64"} }
	in.Held = map[ecosystem.Key]*ecosystem.HoldError{
		key("a"): {Package: key("a"), Reason: ecosystem.ReasonModifiedFile, Detail: "etc/a.conf was changed"},
		key("c"): {Package: key("c"), Reason: ecosystem.ReasonMaintainerScript, Detail: "of a run before"},
	}
	expect(t, in,
		"held a 1.2.3-1 -> 1.2.4-1, modified-file: etc/a.conf was changed",
		"held b 1.0-1 -> 1.0-2, dependency: needs a (>= 1.2.4), which stays at 1.2.3-1 (held: modified-file)")
}

func TestValidate(t *testing.T) {
	good := Rules{
		Level: version.Major, LevelBy: LevelByNumber, Phased: PhasedInclude, Only: []string{"lib*:i386"}, MinAge: time.Hour,
		Hold: []HoldRule{{Glob: "[a-c]?"}}, Packages: []PackageRule{{Glob: "*"}},
	}
	for _, r := range []Rules{{}, good} {
		if err := r.Validate(); err != nil {
			t.Error(err)
		}
	}
	for name, r := range map[string]Rules{
		"glob in only":  {Only: []string{"a", "[b"}},
		"empty glob":    {Only: []string{""}},
		"glob in hold":  {Hold: []HoldRule{{Glob: "a[]"}}},
		"glob in rules": {Packages: []PackageRule{{Glob: "\\"}}},
		"level":         {Level: 9},
		"level of rule": {Packages: []PackageRule{{Glob: "a", Level: -1}}},
		"age":           {MinAge: -1},
		"age of rule":   {Packages: []PackageRule{{Glob: "a", MinAge: -1}}},
		"level by":      {LevelBy: "size"},
		"phased":        {Phased: "sometimes"},
	} {
		if _, err := Decide(Input{Scheme: version.Deb, Rules: r}); err == nil {
			t.Errorf("bad %s: no error", name)
		}
	}
	if _, err := Decide(Input{}); err == nil {
		t.Error("no scheme: no error")
	}
}

// The lots that GNU libstdc++ draws.
func TestLot(t *testing.T) {
	for text, want := range map[string]int{
		"":  63,
		"a": 94,
		"openssl-3.0.2-0ubuntu1.10-0123456789abcdef0123456789abcdef":  79,
		"openssl-3.0.2-0ubuntu1.12-0123456789abcdef0123456789abcdef":  76,
		"systemd-249.11-0ubuntu3.12-ffffffffffffffffffffffffffffffff": 97,
		"glibc-2.35-0ubuntu3.8-nanopatch":                             87,
		"caf\u00e9-1-x":                                               77,
	} {
		if got := lot(text); got != want {
			t.Errorf("lot(%q): got %d, want %d", text, got, want)
		}
	}
}
