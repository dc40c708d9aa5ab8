package apk

import (
	"context"
	"errors"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script/posix"
	"github.com/nanopatch/nanopatch/rebuild/version"
)

// scriptPath is the PATH that apk gives to scripts.
const scriptPath = "/usr/sbin:/usr/bin:/sbin:/bin"

// run interprets a script over the tree, and makes what it changes part of the upgrade. A script of which not everything is
// known, or that fails, holds the package of the upgrade that it is run for; why says which script it is.
func (u *upgrade) run(ctx context.Context, in *install, why, kind string, text []byte, args ...string) error {
	if inert(text) || u.held(in.key()) {
		return nil
	}
	edited := script.NewTree(u.tree, u.opts.Time)
	_, err := script.Run(ctx, script.Input{
		Name: "." + kind, Script: text, Args: args, Env: map[string]string{"PATH": scriptPath}, Tree: edited, Commands: u.commands(),
	})
	var changes []script.Change
	if err == nil {
		changes, err = edited.Changes()
	}
	var unknown *script.UnknownError
	var exit *script.ExitError
	switch {
	case errors.As(err, &unknown), errors.As(err, &exit):
		u.hold(in.key(), ecosystem.ReasonMaintainerScript, "%s%v", why, err)
		return nil
	case err != nil:
		return err
	}
	database := func(p string) bool { return strings.HasPrefix(p, u.tree.Follow(u.db.dir, true)+"/") }
	for _, c := range changes {
		if database(c.Path) {
			u.hold(in.key(), ecosystem.ReasonMaintainerScript, "%s.%s changes /%s, apk's own database", why, kind, c.Path)
			return nil
		}
	}
	return u.tree.Adopt(changes, in.key(), database)
}

// commands are the programs that apk's scripts call.
func (u *upgrade) commands() map[string]script.Command {
	all := posix.Commands()
	all["apk"], all["addgroup"], all["adduser"] = testVersions, addgroup, adduser
	all["busybox"], all["bbsuid"], all["busybox-extras"] = u.busybox, u.otherApplets, u.otherApplets
	return all
}

// testVersions is "apk version -t A B", by which scripts ask which version they come from.
func testVersions(p *script.Process) (int, error) {
	if len(p.Args) != 5 || p.Args[1] != "version" || p.Args[2] != "-t" && p.Args[2] != "--test" {
		return 0, p.Unknownf("is not modelled")
	}
	n, err := version.Apk.Compare(p.Args[3], p.Args[4])
	if err != nil {
		return 0, p.Unknownf("compares what is no version: %v", err)
	}
	return 0, p.Print([]string{"<", "=", ">"}[n+1] + "\n")
}

// addgroup and adduser are busybox's. Scripts call them on every upgrade, to no effect where the account is there.
func addgroup(p *script.Process) (int, error) {
	_, names, err := p.Options("S system g: gid:")
	if err != nil {
		return 0, err
	}
	return addAccount(p, names, "/etc/group", "group")
}

func adduser(p *script.Process) (int, error) {
	_, names, err := p.Options("h: home: g: gecos: s: shell: G: ingroup: S system D disabled-password H no-create-home u: uid: k: skel:")
	if err != nil {
		return 0, err
	}
	return addAccount(p, names, "/etc/passwd", "user")
}

// addAccount refuses to add what exists, as the real programs do.
func addAccount(p *script.Process, names []string, file, kind string) (int, error) {
	switch len(names) {
	case 1:
		if _, exists, err := account(p, file, names[0]); err != nil || !exists {
			return 0, orUnknown(p, err, "adds the %s %.40q", kind, names[0])
		}
		return p.Fail(1, "%s '%s' in use", kind, names[0])
	case 2:
		fields, exists, err := account(p, "/etc/group", names[1])
		if err == nil && exists && len(fields) > 3 {
			for member := range strings.SplitSeq(fields[3], ",") {
				if member == names[0] {
					return 0, nil
				}
			}
		}
		return 0, orUnknown(p, err, "adds %.40q to the group %.40q", names[0], names[1])
	}
	return 0, p.Unknownf("has %d operands", len(names))
}

func orUnknown(p *script.Process, err error, format string, args ...any) error {
	if err != nil {
		return err
	}
	return p.Unknownf(format, args...)
}

// account finds a line of passwd(5) or group(5).
func account(p *script.Process, file, name string) (fields []string, exists bool, err error) {
	data, err := p.ReadFile(file)
	if err != nil {
		return nil, false, p.Unknownf("needs %s: %v", file, err)
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Split(strings.TrimRight(line, "\n"), ":"); f[0] == name {
			return f, true, nil
		}
	}
	return nil, false, nil
}
