package apk

import (
	"crypto/sha1" //nolint:gosec // apk names content by SHA-1
	"encoding/binary"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/overlay"
	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

// owners are the image's users and groups by name: apk goes by the names in an archive where the image has them
// (apk_id_cache_resolve_uid in src/io.c).
type owners struct{ users, groups map[string]int }

func readOwners(v *rootfs.View) (owners, error) {
	users, err := v.ReadOptional(passwdPath, maxDatabase)
	if err != nil {
		return owners{}, err
	}
	groups, err := v.ReadOptional(groupPath, maxDatabase)
	return owners{users: parseIDs(users), groups: parseIDs(groups)}, err
}

// parseIDs reads the names and numbers of passwd(5) or group(5). The first of a name counts.
func parseIDs(data []byte) map[string]int {
	ids := make(map[string]int)
	for line := range strings.Lines(string(data)) {
		f := strings.SplitN(strings.TrimRight(line, "\n"), ":", 4)
		if len(f) < 3 || f[0] == "" {
			continue
		}
		if _, known := ids[f[0]]; known {
			continue
		}
		if n, err := strconv.ParseUint(f[2], 10, 32); err == nil {
			ids[f[0]] = int(n)
		}
	}
	return ids
}

// attrs gives what the database says of an entry of a package's archive.
func (o owners) attrs(e *layer.Entry) attrs {
	a := attrs{uid: e.UID, gid: e.GID, mode: e.Mode & 0o7777, xattrs: hashXattrs(e.PAX)}
	if n, ok := o.users[e.Uname]; ok {
		a.uid = n
	}
	if n, ok := o.groups[e.Gname]; ok {
		a.gid = n
	}
	return a
}

// hashXattrs is apk_fileinfo_hash_xattr_array (src/io.c): names and values, each after its length, by name.
func hashXattrs(pax map[string]string) string {
	attributes := overlay.Xattrs(pax)
	if len(attributes) == 0 {
		return ""
	}
	h := sha1.New() //nolint:gosec // see Checksum
	for _, key := range slices.Sorted(maps.Keys(attributes)) {
		for _, s := range []string{strings.TrimPrefix(key, overlay.XattrPrefix), attributes[key]} {
			_ = binary.Write(h, binary.BigEndian, uint32(len(s)))
			h.Write([]byte(s))
		}
	}
	return Checksum(h.Sum(nil)).String()
}
