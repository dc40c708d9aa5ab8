package accounts

import (
	"bytes"
	"strconv"
	"strings"
)

// ParseIDs reads etc/passwd or etc/group (passwd(5), group(5)): the name is the first and the number the third field. The
// first line of a name counts. Lines of another form are passed over, as the C library does.
func ParseIDs(data []byte) map[string]int {
	ids := make(map[string]int)
	for line := range bytes.Lines(data) {
		fields := strings.SplitN(string(line), ":", 4)
		if len(fields) < 3 || fields[0] == "" {
			continue
		}
		id, err := strconv.ParseUint(strings.TrimSpace(fields[2]), 10, 32)
		if err != nil {
			continue
		}
		if _, known := ids[fields[0]]; !known {
			ids[fields[0]] = int(id)
		}
	}
	return ids
}
