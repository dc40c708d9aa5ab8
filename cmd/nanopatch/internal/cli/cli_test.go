package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/config"
	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/pipeline"
	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/sbom/generate"
	"github.com/nanopatch/nanopatch/sign/attest"
	"github.com/nanopatch/nanopatch/sign/cosign"
)

// run runs the program in a directory of its own with a cache of its own.
func run(ctx context.Context, t *testing.T, vars map[string]string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	cache := t.TempDir()
	env := Env{
		Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Now: time.Now,
		LookupEnv: func(key string) (string, bool) {
			if key == "NANOPATCH_CACHE_DIR" {
				return cache, true
			}
			v, ok := vars[key]
			return v, ok
		},
	}
	code = Main(ctx, args, env)
	return out.String(), errs.String(), code
}

func TestUnknownCommands(t *testing.T) {
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"bogus", exitUsage, `unknown command "bogus"`},
		{"rebuidl", exitUsage, "did you mean rebuild?"},
		{"config bogus", exitUsage, `unknown command "bogus"`},
		{"", exitOK, "Exit codes"},
		{"config", exitOK, "Exit codes"},
		{"plan", exitUsage, "accepts 1 arg"},
		{"version --bogus", exitUsage, "unknown flag"},
	} {
		stdout, stderr, code := run(t.Context(), t, nil, strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(stdout+stderr, c.want) || (code == exitOK) != (stderr == "") {
			t.Errorf("nanopatch %s: code %d, %q, %q", c.args, code, stdout, stderr)
		}
	}
}

// TestHelpListsExitCodes: they are a contract, and each command's help states it.
func TestHelpListsExitCodes(t *testing.T) {
	var check func(cmd *cobra.Command)
	check = func(cmd *cobra.Command) {
		if !strings.Contains(cmd.Long, ExitHelp) {
			t.Errorf("the help of %q lists no exit codes", cmd.CommandPath())
		}
		for _, sub := range cmd.Commands() {
			check(sub)
		}
	}
	check(New(System()))
}

// TestBrokenConfigFile: it stops what needs it and nothing else.
func TestBrokenConfigFile(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("nanopatch.yaml", "level: tiny\n")
	write("other.yaml", "level: minor\n")
	vars := map[string]string{"COSIGN_PASSWORD": "", "NANOPATCH_VERSION": "v0.1.0"}
	for args, want := range map[string]int{
		"version": exitOK, "config schema": exitOK, "config check other.yaml": exitOK, "config check": exitUsage,
		"keygen": exitOK, "plan oci:image:old": exitUsage, "": exitOK,
	} {
		if _, stderr, code := run(t.Context(), t, vars, strings.Fields(args)...); code != want {
			t.Errorf("nanopatch %s: code %d, want %d: %s", args, code, want, stderr)
		}
	}
}

// TestPassword: an empty password is one, as it is for cosign; only an unset variable is a mistake.
func TestPassword(t *testing.T) {
	t.Chdir(t.TempDir())
	if _, stderr, code := run(t.Context(), t, nil, "keygen"); code != exitUsage || !strings.Contains(stderr, "COSIGN_PASSWORD") {
		t.Errorf("without a password: code %d, %s", code, stderr)
	}
	empty := map[string]string{"COSIGN_PASSWORD": ""}
	if _, stderr, code := run(t.Context(), t, empty, "keygen"); code != exitOK {
		t.Fatalf("with an empty password: code %d, %s", code, stderr)
	}
	keys := keyOptions{key: "cosign.key", signatureFormat: "bundle"}
	if _, err := keys.signer(t.Context(), &globalOptions{env: Env{LookupEnv: func(string) (string, bool) { return "", true }}}); err != nil {
		t.Error(err)
	}
}

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, exitOK},
		{fmt.Errorf("tagging: %w", image.ErrImmutableTag), exitUnreachable},
		{fmt.Errorf("%w: reading back: %w", pipeline.ErrNotVerified, image.ErrUnreachable), exitUnreachable},
		{fmt.Errorf("%w: reading back: %w", pipeline.ErrNotVerified, image.ErrNotFound), exitUnverified},
		{fmt.Errorf("%w: 2 of 3", cosign.ErrVerification), exitUnverified},
		{&interruptError{fmt.Errorf("%w: %w", image.ErrUnreachable, context.Canceled)}, exitFailed},
		{usagef("no"), exitUsage},
	} {
		if got := exitCode(c.err); got != c.want {
			t.Errorf("%v: code %d, want %d", c.err, got, c.want)
		}
	}
}

// TestSignalTellsTheTruth: a signal changes the error only where it is the cause.
func TestSignalTellsTheTruth(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, stderr, code := run(ctx, t, nil, "plan", "127.0.0.1:1/base:old", "-q")
	if code != exitFailed || !strings.HasPrefix(stderr, "nanopatch: interrupted: ") {
		t.Errorf("an interrupted request: code %d, %s", code, stderr)
	}
	_, stderr, code = run(ctx, t, nil, "plan", "Not A Name")
	if code != exitUsage || strings.Contains(stderr, "interrupted") {
		t.Errorf("a mistake that a signal coincides with: code %d, %s", code, stderr)
	}
}

// TestErrorsForMachines: with --log-format json the last error is a record too, and -q leaves nothing but it.
func TestErrorsForMachines(t *testing.T) {
	_, stderr, code := run(t.Context(), t, nil, "plan", "oci:no\x1bwhere:old", "--log-format", "json", "-q")
	var record struct {
		Level, Msg string
		ExitCode   int
	}
	if err := json.Unmarshal([]byte(stderr), &record); err != nil {
		t.Fatalf("%v: %q", err, stderr)
	}
	if record.Level != "ERROR" || record.ExitCode != code || code != exitUnreachable || strings.Contains(record.Msg, "\x1b") {
		t.Errorf("code %d, %+v", code, record)
	}
	_, stderr, _ = run(t.Context(), t, nil, "plan", "oci:no\x1bwhere:old")
	if strings.Contains(stderr, "\x1b") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("the line for people: %q", stderr)
	}
	var b bytes.Buffer
	quiet := &globalOptions{env: System(), quiet: true, logFormat: "json"}
	quiet.logger(&b).Warn("noise")
	if b.Len() > 0 {
		t.Errorf("-q logs %s", b.String())
	}
}

// settled is the key options that a rebuild or sign has after all sources of values.
func settled(t *testing.T, use string, vars map[string]string, c *config.Config, args ...string) (key, noSign string) {
	t.Helper()
	root := New(System())
	cmd, _, err := root.Find([]string{use})
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	if err := fromEnvironment(cmd.Flags(), func(name string) string { return vars[name] }); err != nil {
		t.Fatal(err)
	}
	if err := fromConfig(cmd.Flags(), c); err != nil {
		t.Fatal(err)
	}
	if f := cmd.Flags().Lookup("no-sign"); f != nil {
		noSign = f.Value.String()
	}
	return cmd.Flags().Lookup("key").Value.String(), noSign
}

// TestWhetherToSign: whether and with what to sign is one decision, made by whoever comes first: flag, environment, file.
func TestWhetherToSign(t *testing.T) {
	file := &config.Config{Sign: config.Sign{Key: "file.key"}}
	for _, c := range []struct {
		use, args   string
		vars        map[string]string
		key, noSign string
	}{
		{"rebuild", "", nil, "file.key", "false"},
		{"rebuild", "--no-sign", nil, "", "true"},
		{"rebuild", "--no-sign", map[string]string{"NANOPATCH_KEY": "env.key"}, "", "true"},
		{"rebuild", "--no-sign=false", nil, "file.key", "false"},
		{"rebuild", "--key a.key", map[string]string{"NANOPATCH_NO_SIGN": "true"}, "a.key", "false"},
		{"rebuild", "", map[string]string{"NANOPATCH_NO_SIGN": "true"}, "", "true"},
		{"sign", "", nil, "file.key", ""},
		{"verify", "", nil, "", ""},
	} {
		if key, noSign := settled(t, c.use, c.vars, file, strings.Fields(c.args)...); key != c.key || noSign != c.noSign {
			t.Errorf("%s %s %v: key %q, no-sign %q", c.use, c.args, c.vars, key, noSign)
		}
	}
}

// TestConfiguredOutputs: a command takes those formats of the config file that it has, and a typed one alone counts.
func TestConfiguredOutputs(t *testing.T) {
	file := []string{"spdx-json=sbom.json", "json"}
	for _, c := range []struct {
		formats []string
		typed   []string
		want    []output
	}{
		{[]string{"table", "json"}, nil, []output{{format: "json"}}},
		{[]string{"table", "json", "spdx-json"}, nil, []output{{"spdx-json", "sbom.json"}, {format: "json"}}},
		{[]string{"table"}, nil, []output{{format: "table"}}},
		{[]string{"table", "json"}, []string{"table"}, []output{{format: "table"}}},
	} {
		got, err := parseOutputs(outputs{typed: c.typed, configured: file}, c.formats...)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%v: got %v, %v", c, got, err)
		}
	}
}

// TestConfigKnowsEveryFormat: the config file must not refuse a format that a command offers.
func TestConfigKnowsEveryFormat(t *testing.T) {
	for _, f := range generate.Formats() {
		if _, err := config.Parse([]byte("output: [" + string(f) + "]")); err != nil {
			t.Error(err)
		}
	}
}

func TestSignatureList(t *testing.T) {
	b, err := json.Marshal(newSignatureList([]cosign.Record{{PredicateType: attest.PredicateSign}}))
	if err != nil || !strings.HasPrefix(string(b), `{"apiVersion":"nanopatch/v1","kind":"SignatureList","items":[{`) {
		t.Errorf("got %s, %v", b, err)
	}
}
