package maintscript

import (
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/dpkg/internal/accounts"
)

// The system's users and groups, and the modes that the administrator gave to packages' files.
const (
	passwdFile       = "/etc/passwd"
	groupFile        = "/etc/group"
	statOverrideFile = "/var/lib/dpkg/statoverride"
)

// ids reads passwd or group: names and their numbers.
func (e *evaluator) ids(file string) map[string]int {
	data, err := e.root.ReadFile(file)
	if err != nil {
		return nil
	}
	return accounts.ParseIDs(data)
}

// getent looks up users and groups: getent passwd NAME.
func (e *evaluator) getent(args []string) (int, bool) {
	if len(args) != 2 {
		return 0, false
	}
	file, ok := map[string]string{"passwd": passwdFile, "group": groupFile}[args[0]]
	if !ok {
		return 0, false
	}
	const noSuchKey = 2
	if _, known := e.ids(file)[args[1]]; !known {
		return noSuchKey, true
	}
	return 0, true
}

// lastSystemID is the highest number of a system user or group.
const lastSystemID = 999

// addUser changes nothing where a system user exists (adduser(8)).
func (e *evaluator) addUser(args []string) (int, bool) {
	return e.addAccount(args, passwdFile, []string{"--home", "--shell", "--gecos", "--comment", "--uid", "--gid", "--ingroup"})
}

// addGroup changes nothing where a system group exists.
func (e *evaluator) addGroup(args []string) (int, bool) {
	return e.addAccount(args, groupFile, []string{"--gid"})
}

func (e *evaluator) addAccount(args []string, file string, withValue []string) (int, bool) {
	system := false
	var names []string
	for i := 0; i < len(args); i++ {
		switch {
		case slices.Contains(withValue, args[i]):
			i++
		case args[i] == "--system":
			system = true
		case !strings.HasPrefix(args[i], "-"):
			names = append(names, args[i])
		}
	}
	if !system || len(names) != 1 {
		return 0, false
	}
	id, exists := e.ids(file)[names[0]]
	return 0, exists && id > 0 && id <= lastSystemID
}

// statOverride tells whether the administrator gave a path a mode of his own: dpkg-statoverride --list PATH.
func (e *evaluator) statOverride(args []string) (int, bool) {
	if len(args) != 2 || args[0] != "--list" || strings.ContainsAny(args[1], "*?[") {
		return 0, false
	}
	data, err := e.root.ReadFile(statOverrideFile)
	if err != nil {
		return 1, true
	}
	for _, line := range strings.Split(string(data), "\n") {
		if words := strings.SplitN(line, " ", 4); len(words) == 4 && words[3] == args[1] {
			return 0, true
		}
	}
	return 1, true
}

// chown changes nothing where the owners are the ones asked for. For an executable file it may: the kernel takes away
// its special modes and capabilities.
func (e *evaluator) chown(args []string) (int, bool) {
	if len(args) < 2 {
		return 0, false
	}
	user, group, withGroup := strings.Cut(args[0], ":")
	uid, known := e.ids(passwdFile)[user]
	gid, groupKnown := e.ids(groupFile)[group]
	if !known && user != "" || withGroup && !groupKnown {
		return 0, false
	}
	for _, p := range args[1:] {
		f, there := e.root.Stat(p)
		executable := f.IsRegular() && f.FileMode&(0o111|fs.ModeSetuid|fs.ModeSetgid) != 0
		if !strings.HasPrefix(p, "/") || isMounted(p) || !there || executable {
			return 0, false
		}
		if user != "" && f.UID != uid || withGroup && f.GID != gid {
			return 0, false
		}
	}
	return 0, true
}

// chmod changes nothing where the mode is the one asked for, in octal.
func (e *evaluator) chmod(args []string) (int, bool) {
	if len(args) < 2 {
		return 0, false
	}
	mode, err := strconv.ParseUint(args[0], 8, 12)
	if err != nil {
		return 0, false
	}
	for _, p := range args[1:] {
		f, there := e.root.Stat(p)
		if !strings.HasPrefix(p, "/") || isMounted(p) || !there || octal(f.FileMode) != mode {
			return 0, false
		}
	}
	return 0, true
}

// octal is a mode as chmod spells it.
func octal(m fs.FileMode) uint64 {
	n := uint64(m.Perm())
	for bit, flag := range map[uint64]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if m&flag != 0 {
			n |= bit
		}
	}
	return n
}
