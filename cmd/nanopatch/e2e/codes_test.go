//go:build e2e

package e2e

import (
	"slices"
	"strings"
	"testing"
)

// TestPlanExitCodes: updates are there before a rebuild and none after it, and a package whose repository is gone is said.
func TestPlanExitCodes(t *testing.T) {
	host := debianRegistry(t)
	push(t, host+"/base:old", debian)
	nanopatch(t, "plan", host+"/base:old", "--detailed-exitcode").must(t, 10)
	nanopatch(t, "rebuild", host+"/base:old", "-t", host+"/base:new", "--no-sign").must(t, 0)
	nanopatch(t, "plan", host+"/base:new", "--detailed-exitcode").must(t, 0)

	push(t, host+"/base:foreign", withForeignPackage(t, debian))
	o := nanopatch(t, "plan", host+"/base:foreign", "--fail-on=unmanaged", "-o", "json").must(t, 5)
	type plan struct {
		Unmanaged []struct{ Name, Version, Why string }
	}
	p := decode[plan](t, o)
	if !slices.ContainsFunc(p.Unmanaged, func(u struct{ Name, Version, Why string }) bool { return u.Name == "np-foreign" }) {
		t.Errorf("np-foreign is not among the unmanaged: %v", p.Unmanaged)
	}
	if strings.Contains(o.stderr, "nothing to do") {
		t.Errorf("said that nothing is to do:\n%s", o.stderr)
	}
}
