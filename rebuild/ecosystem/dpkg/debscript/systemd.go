package debscript

import (
	"archive/tar"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
)

// helper is one run of deb-systemd-helper (init-system-helpers).
type helper struct {
	p                       *script.Process
	instance, state, masked string
}

// unitLink is a link that enabling a unit makes.
type unitLink struct{ src, dest string }

func systemdHelper(p *script.Process) (int, error) {
	args := p.Args[1:]
	h := &helper{p: p, instance: "system"}
	for len(args) > 0 && strings.HasPrefix(args[0], "--") {
		switch args[0] {
		case "--quiet", "--system":
		case "--user":
			h.instance = "user"
		default:
			return 0, p.Unknownf("has the option %.20q, which is not modelled", args[0])
		}
		args = args[1:]
	}
	if len(args) == 0 {
		return 0, p.Unknownf("has no action")
	}
	h.state = "/var/lib/systemd/deb-systemd-helper-enabled"
	h.masked = "/var/lib/systemd/deb-systemd-helper-masked"
	if h.instance == "user" {
		h.state = "/var/lib/systemd/deb-systemd-user-helper-enabled"
		h.masked = "/var/lib/systemd/deb-systemd-user-helper-masked"
	}
	status := 0
	if a := args[0]; a == "is-enabled" || a == "was-enabled" || a == "debian-installed" {
		status = 1
	}
	for _, unit := range args[1:] {
		yes, err := h.act(args[0], unit)
		if err != nil {
			return 0, err
		}
		if yes {
			status = 0
		}
	}
	return status, nil
}

func (h *helper) act(action, unit string) (bool, error) {
	switch action {
	case "was-enabled":
		entries, _, err := h.recorded(unit)
		return err == nil && !slices.ContainsFunc(entries, func(e string) bool { return !h.isLink(e) }), err
	case "debian-installed":
		_, ok, err := h.recorded(unit)
		return ok, err
	case "is-enabled":
		links, err := h.closure(h.find(unit), nil)
		return err == nil && !slices.ContainsFunc(links, func(l unitLink) bool { return !h.isLink(l.src) }), err
	case "unmask":
		return false, h.unmask(unit)
	case "update-state":
		return false, h.updateState(unit)
	case "enable":
		return false, h.enable(unit)
	}
	return false, h.p.Unknownf("has the action %.20q, which is not modelled", action)
}

func (h *helper) isLink(name string) bool {
	_, e, err := h.p.Tree().Lstat(name)
	return err == nil && e.Type == tar.TypeSymlink
}

func (h *helper) exists(name string) bool {
	_, _, err := h.p.Tree().Lstat(name)
	return err == nil
}

func (h *helper) stateFile(unit string) string { return h.state + "/" + path.Base(unit) + ".dsh-also" }

// recorded reads which links were made for a unit.
func (h *helper) recorded(unit string) ([]string, bool, error) {
	data, err := h.p.Tree().ReadFile(h.stateFile(unit))
	if err != nil {
		return nil, false, known(err)
	}
	return strings.Fields(string(data)), true, nil
}

// find is where a unit's file lies.
func (h *helper) find(unit string) string {
	for _, dir := range []string{"/etc", "/lib", "/usr/lib"} {
		name := dir + "/systemd/" + h.instance + "/" + unit
		if _, e, err := h.p.Tree().Stat(name); err == nil && e.IsRegular() {
			return name
		}
	}
	return unit
}

var (
	wantedBy = regexp.MustCompile(`(?i)^\s*(WantedBy|RequiredBy)=(.+)$`)
	also     = regexp.MustCompile(`(?i)^\s*Also=(.+)$`)
	alias    = regexp.MustCompile(`(?i)^\s*Alias=(.+)$`)
	instance = regexp.MustCompile(`(?i)^\s*DefaultInstance=\s*(.+?)\s*$`)
)

// closure lists the links that enabling a unit makes, those of the units it names with Also first.
func (h *helper) closure(file string, visited []string) ([]unitLink, error) {
	data, err := h.p.Tree().ReadFile(h.p.Abs(file))
	if err != nil {
		return nil, h.p.Unknownf("reads the unit %s: %v", file, err)
	}
	if len(visited) > 50 {
		return nil, h.p.Unknownf("follows too many units")
	}
	unit := path.Base(file)
	target := unit
	var links []unitLink
	var dirs []string
	for line := range strings.SplitSeq(string(data), "\n") {
		if m := wantedBy.FindStringSubmatch(line); m != nil {
			suffix := ".requires"
			if strings.EqualFold(m[1], "WantedBy") {
				suffix = ".wants"
			}
			for _, value := range strings.Fields(m[2]) {
				dirs = append(dirs, "/etc/systemd/"+h.instance+"/"+unquoted(value)+suffix+"/")
			}
		}
		if m := also.FindStringSubmatch(line); m != nil {
			for _, value := range strings.Fields(m[1]) {
				value = unquoted(value)
				if value == unit || slices.Contains(visited, value) {
					continue
				}
				visited = append(visited, value)
				more, err := h.closure(h.find(value), visited)
				if err != nil {
					return nil, err
				}
				links = append(links, more...)
			}
		}
		if m := alias.FindStringSubmatch(line); m != nil {
			for _, value := range strings.Fields(m[1]) {
				if unquoted(value) != unit {
					links = append(links, unitLink{"/etc/systemd/" + h.instance + "/" + m[1], file})
				}
			}
		}
		if m := instance.FindStringSubmatch(line); m != nil {
			if at := strings.LastIndex(unit, "@."); at >= 0 {
				target = unit[:at+1] + unquoted(m[1]) + unit[at+1:]
			}
		}
	}
	for _, dir := range dirs {
		links = append(links, unitLink{dir + target, file})
	}
	return links, nil
}

func unquoted(s string) string {
	if len(s) > 1 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		return s[1 : len(s)-1]
	}
	return s
}

// unmask takes a mask away that the helper itself made.
func (h *helper) unmask(unit string) error {
	mask := "/etc/systemd/" + h.instance + "/" + path.Base(unit)
	target, err := h.p.Tree().Readlink(mask)
	if err != nil || target != "/dev/null" {
		return known(err)
	}
	state := h.masked + "/" + path.Base(unit)
	if !h.exists(state) {
		return nil
	}
	if err := h.p.Tree().Remove(mask, false); err != nil {
		return err
	}
	return h.p.Tree().Remove(state, false)
}

// write puts a state file in place of another, if it differs: that its time changes is not worth a new file.
func (h *helper) write(name, text string) error {
	if old, err := h.p.Tree().ReadFile(name); err == nil && string(old) == text {
		return nil
	}
	if err := h.makeDir(path.Dir(name)); err != nil {
		return err
	}
	if h.exists(name) {
		if err := h.p.Tree().Remove(name, false); err != nil {
			return err
		}
	}
	return h.p.Tree().WriteFile(name, []byte(text), 0o644)
}

func (h *helper) makeDir(dir string) error {
	if h.p.Tree().Exists(dir) {
		return nil
	}
	if err := h.makeDir(path.Dir(dir)); err != nil {
		return err
	}
	return h.p.Tree().Mkdir(dir, 0o755)
}

func (h *helper) updateState(unit string) error {
	links, err := h.closure(h.find(unit), nil)
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, l := range links {
		b.WriteString(l.src + "\n")
	}
	return h.write(h.stateFile(unit), b.String())
}

// enable makes the links that are new, if the unit has any of its links.
func (h *helper) enable(unit string) error {
	file := h.find(unit)
	links, err := h.closure(file, nil)
	if err != nil {
		return err
	}
	create := true
	if h.p.Tree().Exists("/usr/bin/systemctl") || h.p.Tree().Exists("/bin/systemctl") {
		_, installed, err := h.recorded(unit)
		if err != nil {
			return err
		}
		if !installed {
			return h.p.Unknownf("asks systemd's presets about a new unit")
		}
		create = slices.ContainsFunc(links, func(l unitLink) bool { return h.isLink(l.src) })
	}
	for _, l := range links {
		entries, _, err := h.recorded(unit)
		if err != nil {
			return err
		}
		if !slices.Contains(entries, l.src) {
			if err := h.write(h.stateFile(unit), strings.Join(append(entries, l.src), "\n")+"\n"); err != nil {
				return err
			}
		}
		marker := h.state + strings.TrimPrefix(l.src, "/etc/systemd/"+h.instance)
		if h.exists(marker) {
			continue
		}
		if create && !h.isLink(l.src) {
			if err := h.makeDir(path.Dir(l.src)); err != nil {
				return err
			}
			if err := h.p.Tree().Symlink(l.dest, l.src); err != nil {
				return h.p.Unknownf("links %s: %v", l.src, err)
			}
		}
		if err := h.write(marker, ""); err != nil {
			return err
		}
		if !h.exists(marker) {
			if err := h.p.Tree().WriteFile(marker, nil, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// invokeRC is invoke-rc.d under a policy that denies all: whatever the action, it does nothing, and says so only if asked.
func invokeRC(p *script.Process) (int, error) {
	opts, args, err := p.Options("quiet force query no-fallback disclose-deny skip-systemd-native try-anyway help")
	if err != nil {
		return 0, err
	}
	if len(opts) > 0 && script.Has(opts, "query", "disclose-deny", "force", "help") || len(args) < 2 {
		return 0, p.Unknownf("has operands that are not modelled")
	}
	return 0, nil
}

// systemctl talks to a service manager, of which none runs.
func systemctl(p *script.Process) (int, error) {
	for _, arg := range p.Args[1:] {
		switch arg {
		case "--system", "--quiet", "-q", "--no-block", "--now":
			continue
		case "daemon-reload", "daemon-reexec", "start", "stop", "restart", "reload", "try-restart", "reload-or-restart", "kill",
			"try-reload-or-restart", "reset-failed":
			return 1, nil
		case "is-active":
			return 3, p.Print("inactive\n")
		case "is-system-running":
			return 1, p.Print("offline\n")
		}
		return 0, p.Unknownf("has the action %.20q, which is not modelled", arg)
	}
	return 0, p.Unknownf("has operands that are not modelled")
}

// listeners is ss -nlt: where nothing runs nothing listens, and the table has no more than its head.
func listeners(p *script.Process) (int, error) {
	if len(p.Args) < 2 || strings.Trim(p.Args[1], "-nlt") != "" {
		return 0, p.Unknownf("has operands that are not modelled")
	}
	return 0, p.Print("State Recv-Q Send-Q Local Address:Port Peer Address:PortProcess\n")
}

func notRunning(p *script.Process) (int, error) {
	return 0, p.Unknownf("asks for a running service")
}

// stopDaemon is start-stop-daemon, which finds nothing to stop.
func stopDaemon(p *script.Process) (int, error) {
	stop, fine := false, 1
	for _, arg := range p.Args[1:] {
		switch arg {
		case "--stop", "-K":
			stop = true
		case "--oknodo", "-o":
			fine = 0
		}
	}
	if !stop {
		return 0, p.Unknownf("starts a service")
	}
	return fine, nil
}

// journalctl updates the catalog of messages, which is a cache of the files that packages ship.
func journalctl(p *script.Process) (int, error) {
	if len(p.Args) == 2 && p.Args[1] == "--update-catalog" {
		return request(p)
	}
	return 0, p.Unknownf("has operands that are not modelled")
}

// updateRC is update-rc.d: links that are there already stay.
func updateRC(p *script.Process) (int, error) {
	args := p.Args[1:]
	for len(args) > 0 && args[0] == "-f" {
		args = args[1:]
	}
	if len(args) < 2 {
		return 0, p.Unknownf("has operands that are not modelled")
	}
	name, action := args[0], args[1]
	if action != "defaults" && action != "remove" && action != "defaults-disabled" && action != "start" && action != "stop" {
		return 0, p.Unknownf("has the action %.20q, which is not modelled", action)
	}
	for _, level := range "0123456S" {
		names, err := p.Tree().ReadDir("/etc/rc" + string(level) + ".d")
		if err := known(err); err != nil {
			return 0, err
		}
		for _, n := range names {
			if len(n) > 3 && (n[0] == 'S' || n[0] == 'K') && n[3:] == name {
				if action == "remove" {
					return 0, p.Unknownf("removes links of the service %s", name)
				}
				return 0, nil
			}
		}
	}
	if action == "remove" || !p.Tree().Exists("/etc/init.d/"+name) {
		return 0, nil // there is nothing to link to
	}
	return 0, p.Unknownf("makes links for the service %s", name)
}
