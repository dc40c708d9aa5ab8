package apt

import (
	"fmt"
	"io/fs"

	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
)

const (
	authFile  = "etc/apt/auth.conf"
	authParts = "etc/apt/auth.conf.d"
	// maxLogins bounds the logins of one image.
	maxLogins = 500
)

// Logins reads the logins that an image has for its repositories, in apt's order: etc/apt/auth.conf, then the files in
// etc/apt/auth.conf.d (apt_auth.conf(5)).
func Logins(root fs.FS) (pkgrepo.Logins, error) {
	names, err := listParts(root, authParts, ".conf", "")
	if err != nil {
		return nil, err
	}
	var all pkgrepo.Logins
	for _, name := range append([]string{authFile}, names...) {
		data, _, err := readConfig(root, name, maxConfigFile)
		if err != nil {
			return nil, err
		}
		logins, err := pkgrepo.ParseLogins(string(data))
		if err != nil {
			return nil, &ConfigError{File: name, Reason: err.Error()}
		}
		if all = append(all, logins...); len(all) > maxLogins {
			return nil, &ConfigError{File: name, Reason: fmt.Sprintf("more than %d logins", maxLogins)}
		}
	}
	return all, nil
}
