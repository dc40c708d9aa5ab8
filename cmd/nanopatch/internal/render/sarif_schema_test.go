//go:build e2e

package render

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/nanopatch/nanopatch/rebuild/plan"
)

// sarifSchema is the official schema, errata 01, as a module among the linter's carries it.
func sarifSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	const module = "github.com/securego/gosec/v2"
	cmd := exec.CommandContext(t.Context(), "go", "-C", "../../../../.ci/tools", "list", "-m", "-f", "{{.Version}}", module)
	version, err := cmd.Output()
	if err != nil {
		t.Fatalf("finding %s: %v", module, err)
	}
	cmd = exec.CommandContext(t.Context(), "go", "-C", "../../../../.ci/tools", "mod", "download", "-json", module+"@"+string(bytes.TrimSpace(version)))
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("fetching %s: %v", module, err)
	}
	var found struct{ Dir string }
	if err := json.Unmarshal(out, &found); err != nil {
		t.Fatal(err)
	}
	schema, err := jsonschema.NewCompiler().Compile(filepath.Join(found.Dir, "report/sarif/testdata/sarif-schema-2.1.0.json"))
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func TestSARIFSchema(t *testing.T) {
	schema := sarifSchema(t)
	validate := func(plans ...*plan.Plan) error {
		var b bytes.Buffer
		if err := SARIF(&b, plans, "0.1.0"); err != nil {
			t.Fatal(err)
		}
		document, err := jsonschema.UnmarshalJSON(&b)
		if err != nil {
			t.Fatal(err)
		}
		return schema.Validate(document)
	}
	for name, plans := range map[string][]*plan.Plan{
		"nothing": {}, "one": {samplePlan()}, "hostile": {hostilePlan()}, "several": {samplePlan(), hostilePlan()},
	} {
		if err := validate(plans...); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := schema.Validate(map[string]any{"version": "2.1.0", "runs": []any{map[string]any{}}}); err == nil {
		t.Error("the schema takes a run without a tool")
	}
}
