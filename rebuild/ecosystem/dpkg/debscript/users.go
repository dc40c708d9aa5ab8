package debscript

import (
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
)

func octal(mode int64) string { return strconv.FormatInt(mode, 8) }

// named tells whether a name is in passwd or group, and its number.
func named(p *script.Process, file, name string) (int, bool) {
	data, err := p.Tree().ReadFile(file)
	if err != nil {
		return 0, false
	}
	for line := range strings.SplitSeq(string(data), "\n") {
		if fields := strings.Split(line, ":"); len(fields) > 2 && fields[0] == name {
			n, err := strconv.Atoi(fields[2])
			return n, err == nil
		}
	}
	return 0, false
}

// addUser is adduser and useradd for a system user that exists: nothing is to do.
func addUser(p *script.Process) (int, error) {
	names := operandNames(p)
	if len(names) == 2 && splitName(p) == "adduser" { // a user into a group
		if member(p, names[0], names[1]) {
			return 0, nil
		}
		return 0, p.Unknownf("adds the user %s to a group", names[0])
	}
	if len(names) == 1 {
		if _, ok := named(p, "/etc/passwd", names[0]); ok {
			if splitName(p) == "useradd" {
				return 9, nil
			}
			return 0, nil
		}
	}
	return 0, p.Unknownf("adds a user")
}

func addGroup(p *script.Process) (int, error) {
	names := operandNames(p)
	if len(names) == 1 {
		if _, ok := named(p, "/etc/group", names[0]); ok {
			if splitName(p) == "groupadd" {
				return 9, nil
			}
			return 0, nil
		}
	}
	return 0, p.Unknownf("adds a group")
}

func splitName(p *script.Process) string {
	_, name := splitPath(p.Args[0])
	return name
}

// operandNames are the operands of adduser and its kin, whose options take a value in the next argument.
func operandNames(p *script.Process) []string {
	valued := []string{
		"--home", "--shell", "--ingroup", "--gecos", "--uid", "--gid", "--group", "--firstuid", "--lastuid", "--conf", "--comment",
		"-c", "-d", "-g", "-s", "-u", "-G", "-K", "--home-dir", "--groups", "--key", "--firstgid", "--lastgid",
	}
	var names []string
	args := p.Args[1:]
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if !strings.HasPrefix(arg, "-") {
			names = append(names, arg)
			continue
		}
		for _, v := range valued {
			if arg == v && !(arg == "--group" && splitName(p) == "adduser") {
				i++
			}
		}
	}
	return names
}

func member(p *script.Process, user, group string) bool {
	data, err := p.Tree().ReadFile("/etc/group")
	if err != nil {
		return false
	}
	for line := range strings.SplitSeq(string(data), "\n") {
		fields := strings.Split(line, ":")
		if len(fields) < 4 || fields[0] != group {
			continue
		}
		for _, m := range strings.Split(fields[3], ",") {
			if m == user {
				return true
			}
		}
	}
	return false
}

// sysusers is systemd-sysusers, where all users and groups that a configuration names exist.
func sysusers(p *script.Process) (int, error) {
	for _, arg := range p.Args[1:] {
		if strings.HasPrefix(arg, "-") {
			return 0, p.Unknownf("has the option %.40q, which is not modelled", arg)
		}
		if !strings.Contains(arg, "/") {
			arg = "/usr/lib/sysusers.d/" + arg
		}
		data, err := p.Tree().ReadFile(p.Abs(arg))
		if err != nil {
			return 0, p.Unknownf("reads %s: %v", arg, err)
		}
		for line := range strings.SplitSeq(string(data), "\n") {
			words := strings.Fields(line)
			if len(words) < 2 || strings.HasPrefix(words[0], "#") {
				continue
			}
			_, user := named(p, "/etc/passwd", words[1])
			_, group := named(p, "/etc/group", words[1])
			switch {
			case words[0] == "u" && user, words[0] == "g" && group, words[0] == "r":
			case words[0] == "m" && len(words) > 2 && member(p, words[1], words[2]):
			default:
				return 0, p.Unknownf("may add the user %s", words[1])
			}
		}
	}
	return 0, nil
}

// capabilities are the numbers of the names that packages grant (linux/capability.h).
var capabilities = map[string]uint{
	"cap_chown": 0, "cap_dac_override": 1, "cap_dac_read_search": 2, "cap_fowner": 3, "cap_kill": 5, "cap_setgid": 6, "cap_setuid": 7,
	"cap_setpcap": 8, "cap_net_bind_service": 10, "cap_net_broadcast": 11, "cap_net_admin": 12, "cap_net_raw": 13, "cap_ipc_lock": 14,
	"cap_sys_chroot": 18, "cap_sys_ptrace": 19, "cap_sys_admin": 21, "cap_sys_nice": 23, "cap_sys_resource": 24, "cap_audit_write": 29,
	"cap_setfcap": 31, "cap_syslog": 34, "cap_perfmon": 38, "cap_bpf": 39,
}

// setcap writes file capabilities as version 2 of the attribute (capabilities(7)): magic with the effective bit, then the
// permitted and inheritable sets in two halves.
func setcap(p *script.Process) (int, error) {
	args := p.Args[1:]
	if len(args) > 0 && args[0] == "-q" {
		args = args[1:]
	}
	if len(args) != 2 {
		return 0, p.Unknownf("has operands that are not modelled")
	}
	if args[0] == "-r" {
		return 0, p.Tree().SetXattr(p.Abs(args[1]), "security.capability", "")
	}
	at := strings.IndexAny(args[0], "=+")
	if at < 0 {
		return 0, p.Unknownf("has the capabilities %.40q", args[0])
	}
	names, flags := args[0][:at], args[0][at+1:]
	var bits uint64
	for _, name := range strings.Split(strings.ToLower(names), ",") {
		n, ok := capabilities[name]
		if !ok {
			return 0, p.Unknownf("has the capability %.40q", name)
		}
		bits |= 1 << n
	}
	var permitted, inheritable uint64
	magic := uint32(0x02000000)
	for _, f := range flags {
		switch f {
		case 'e':
			magic |= 1
		case 'p':
			permitted = bits
		case 'i':
			inheritable = bits
		default:
			return 0, p.Unknownf("has the capabilities %.40q", args[0])
		}
	}
	_, e, err := p.Tree().Stat(p.Abs(args[1]))
	if err != nil {
		return p.FailFile(1, args[1], err)
	}
	if !e.IsRegular() {
		return p.Fail(1, "%s: not a regular file", args[1])
	}
	value := make([]byte, 0, 20)
	for _, word := range []uint32{magic, uint32(permitted), uint32(inheritable), uint32(permitted >> 32), uint32(inheritable >> 32)} {
		value = binary.LittleEndian.AppendUint32(value, word)
	}
	return 0, p.Tree().SetXattr(p.Abs(args[1]), "security.capability", string(value))
}
