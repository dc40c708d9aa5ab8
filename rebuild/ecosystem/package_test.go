package ecosystem_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
)

func TestKeyString(t *testing.T) {
	for want, k := range map[string]ecosystem.Key{
		"libssl3:amd64": {Name: "libssl3", Arch: "amd64"},
		"tzdata:all":    {Name: "tzdata", Arch: "all"},
		"musl":          {Name: "musl"},
	} {
		if got := k.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// The reasons are part of the command-line contract: scripts match on them.
func TestReasons(t *testing.T) {
	for got, want := range map[ecosystem.Reason]string{
		ecosystem.ReasonLevel: "level", ecosystem.ReasonRule: "rule", ecosystem.ReasonMinAge: "min-age",
		ecosystem.ReasonDependency: "dependency", ecosystem.ReasonModifiedFile: "modified-file",
		ecosystem.ReasonMaintainerScript: "maintainer-script", ecosystem.ReasonNoArtifact: "no-artifact",
		ecosystem.ReasonDistroHold: "distro-hold", ecosystem.ReasonPin: "pin", ecosystem.ReasonTest: "test",
	} {
		if string(got) != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func ExampleHoldError() {
	err := fmt.Errorf("layer 2: %w", &ecosystem.HoldError{
		Package: ecosystem.Key{Name: "openssh-server", Arch: "amd64"},
		Reason:  ecosystem.ReasonMaintainerScript,
		Detail:  "postinst line 41 runs ssh-keygen",
	})
	var hold *ecosystem.HoldError
	if errors.As(err, &hold) {
		fmt.Println(hold)
	}
	// Output:
	// openssh-server:amd64 is held (maintainer-script): postinst line 41 runs ssh-keygen
}
