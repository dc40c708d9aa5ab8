package version

import (
	"encoding/json"
	"testing"
)

func TestDebLevel(t *testing.T) {
	for _, c := range []struct {
		from, to string
		want     Level
	}{
		// Only the distribution's revision.
		{"1.22.1-9", "1.22.1-9+deb12u2", Revision},
		{"2.36-9+deb12u3", "2.36-9+deb12u10", Revision},
		{"12.4+deb12u5", "12.4+deb12u11", Revision},             // base-files, native
		{"2023.3+deb12u1", "2023.3+deb12u2", Revision},          // debian-archive-keyring, native
		{"5.19~deb11u1", "5.19", Revision},                      // native
		{"1.0.9+nmu1", "1.0.9+nmu2", Revision},                  // native, by another maintainer
		{"9.18.19+dfsg-1", "9.18.19+dfsg1-2", Revision},         // repacked
		{"1.2+ds-1", "1.2+ds2-1", Revision},                     // repacked
		{"1:9.2p1-2", "1:9.2p1-2+deb12u7", Revision},            //
		{"2.4.1-1", "2.4.1-1~bpo12+1", Revision},                //
		{"1.8.4ubuntu3", "1.8.4ubuntu3.22.04.1", Revision},      // native
		{"3.0.2-0ubuntu1.10", "3.0.2-0ubuntu1.19", Revision},    //
		{"2.1.4+really1.9.2-1", "3.0+really1.9.2-2", Revision},  // both are 1.9.2
		{"1.0-1", "1.0-1+b3", Revision},                         // a rebuild
		{"1.0-1", "1.0-1", Revision},                            //
		{"6.9.11.60+dfsg-1.6", "6.9.11.60+dfsg-1.6", Revision},  //
		{"0.0.20221020-1", "0.0.20221020-1+deb12u1", Revision},  //
		{"20230311", "20230311+deb12u1", Revision},              //
		{"1.2.3-1", "1.2.3.0-1", Patch},                         // equal in order but not the same text
		{"3.0.11-1~deb12u2", "3.0.17-1~deb12u2", Patch},         // openssl
		{"1.1.1n-0+deb11u5", "1.1.1w-0+deb11u1", Patch},         //
		{"6.9.11.60+dfsg-1", "6.9.11.61+dfsg-1", Patch},         // a fourth component
		{"1.2.3~rc1-1", "1.2.3-1", Patch},                       // what follows the components
		{"1.2.3+git20240101-1", "1.2.3+git20250101-1", Patch},   //
		{"1.2.3-1", "1.2.3.1-1", Patch},                         //
		{"17.0.9+9-1~deb12u1", "17.0.16+8-1~deb12u1", Patch},    // openjdk
		{"1:10.11.6-0+deb12u1", "1:10.11.14-0+deb12u2", Patch},  // mariadb
		{"15.14-0+deb12u1", "15.15-0+deb12u1", Patch},           // postgresql: two components
		{"252.38-1~deb12u1", "252.39-1~deb12u1", Patch},         // systemd
		{"15-1", "15.1-1", Patch},                               //
		{"1:9.2p1-2", "1:9.6p1-1", Patch},                       // two components, by the same rule
		{"2.0+really1.2.3-1", "2.1+really1.2.4-1", Patch},       //
		{"2.0+really1.2.3-1", "1.2.4-1", Patch},                 //
		{"1.2.4-1", "1.2.3-1", Patch},                           // downwards
		{"2024a-0+deb12u1", "2025b-0+deb12u1", Patch},           // tzdata
		{"20230311", "20250419", Patch},                         // ca-certificates
		{"2023.3+deb12u2", "2025.1", Patch},                     // debian-archive-keyring
		{"20220929.1-1", "20230801-1", Patch},                   //
		{"2022.08.12-1", "2023.05.03-1", Patch},                 //
		{"3.20240312.1~deb12u1", "3.20250211.1~deb12u1", Patch}, // intel-microcode
		{"1.2.4-1", "1.3.0-1", Minor},                           //
		{"1.2-1", "1.3.1-1", Minor},                             // three components at one end
		{"3.0.17-1", "3.5.1-1", Minor},                          //
		{"2.0+really1.2.3-1", "2.0.1-1", Major},                 //
		{"1.2.3-1", "2.0.0-1", Major},                           //
		{"15.14-1", "16.0-1", Major},                            //
		{"15-1", "16-1", Major},                                 //
		{"590-2", "608-1", Major},                               // less: a plain number is no date
		{"1.2.3-1", "1:1.2.3-1", Major},                         // the epoch
		{"2023.1-1", "1.0-1", Major},                            // a date at one end only
		{"1.5-1", "20230101-1", Major},                          //
		{"20231399-1", "20240101-1", Major},                     // the month says that this is no date
	} {
		if got := Deb.Level(c.from, c.to); got != c.want {
			t.Errorf("Level(%s, %s): got %s, want %s", c.from, c.to, got, c.want)
		}
		if got := Deb.Level(c.to, c.from); got != c.want {
			t.Errorf("Level(%s, %s): got %s, want %s", c.to, c.from, got, c.want)
		}
	}
}

func TestLevelText(t *testing.T) {
	if Revision >= Patch || Patch >= Minor || Minor >= Major || Level(0) >= Revision {
		t.Error("levels are out of order")
	}
	for l, name := range map[Level]string{Revision: "revision", Patch: "patch", Minor: "minor", Major: "major"} {
		if l.String() != name {
			t.Errorf("got %q, want %q", l.String(), name)
		}
		parsed, err := ParseLevel(name)
		if err != nil || parsed != l {
			t.Errorf("ParseLevel(%q): got %v, %v", name, parsed, err)
		}
		var back map[string]Level
		b, err := json.Marshal(map[string]Level{"level": l})
		if err == nil {
			err = json.Unmarshal(b, &back)
		}
		if err != nil || back["level"] != l {
			t.Errorf("%s through JSON: got %s, %v", l, b, err)
		}
	}
	for _, s := range []string{"", "none", "Patch", "patches"} {
		if l, err := ParseLevel(s); err == nil {
			t.Errorf("ParseLevel(%q): got %s", s, l)
		}
	}
	if _, err := Level(9).MarshalText(); err == nil {
		t.Error("Level(9) has a text")
	}
	if got := Level(0).String() + " " + Level(9).String(); got != "none Level(9)" {
		t.Errorf("got %q", got)
	}
	l := Minor
	if err := l.UnmarshalText(nil); err != nil || l != 0 {
		t.Errorf("no text: got %v, %v", l, err)
	}
	if err := l.UnmarshalText([]byte("huge")); err == nil {
		t.Error("huge is a level")
	}
}
