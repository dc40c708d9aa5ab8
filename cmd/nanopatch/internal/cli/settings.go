package cli

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/adrg/xdg"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/config"
)

// globalOptions are the flags that all commands share.
type globalOptions struct {
	env Env

	platforms  []string
	configFile string
	cacheDir   string
	insecure   []string
	caCert     string
	certDirs   []string
	cacheSize  string
	cacheBytes int64
	jobs       int
	stall      time.Duration
	repoAuth   string
	outputs    outputs
	quiet      bool
	verbose    bool
	logFormat  string
	offline    bool
	builderID  string

	config *config.Config
	// typed names the flags that the command line decides.
	typed map[string]bool
}

func (g *globalOptions) register(root *cobra.Command) {
	f := root.PersistentFlags()
	f.StringSliceVar(&g.platforms, "platform", nil, "platform of an index, as os/arch[/variant] (repeatable; default all)")
	f.StringVar(&g.configFile, "config", "", "config file (default "+config.DefaultFile+" if present)")
	f.StringVar(&g.cacheDir, "cache-dir", "", "where indexes, layers and packages are kept (default $XDG_CACHE_HOME/nanopatch)")
	f.StringSliceVar(&g.insecure, "insecure-registry", nil, "registry host[:port] that may be spoken to without TLS (repeatable)")
	f.StringVar(&g.caCert, "ca-cert", "", "PEM file of further certificate authorities to trust")
	f.StringArrayVar(&g.certDirs, "certs-dir", nil,
		"directory with registries' certificates, as HOST[:PORT]/{*.crt,*.cert,*.key} (repeatable; default podman's and docker's)")
	f.StringVar(&g.cacheSize, "cache-size", "10GiB", "what the cache may hold before it forgets what was used longest ago; 0 is no limit")
	f.StringVar(&g.repoAuth, "repo-auth", "", "file of logins for package repositories, in the format of apt's auth.conf")
	f.IntVar(&g.jobs, "concurrency", 4, "how many blobs move between registries and this machine at once")
	f.DurationVar(&g.stall, "registry-timeout", time.Minute, "how long a registry may send or take nothing in the middle of a transfer")
	f.StringArrayVarP(&g.outputs.typed, "output", "o", nil, "output format, or FORMAT=FILE (repeatable)")
	f.BoolVarP(&g.quiet, "quiet", "q", false, "say nothing but the result and errors")
	f.BoolVarP(&g.verbose, "verbose", "v", false, "say more: each step and how long it took")
	f.BoolVar(&g.offline, "offline", false, "use no network: only oci: layouts, archives and the cache")
	f.StringVar(&g.logFormat, "log-format", "auto", "format of messages: auto, text or json")
}

// settle gives every flag that was not typed its value from the environment.
func (g *globalOptions) settle(cmd *cobra.Command) error {
	g.typed = decided(cmd.Flags())
	if err := fromEnvironment(cmd.Flags(), g.env.Getenv); err != nil {
		return err
	}
	switch g.logFormat {
	case "auto", "text", "json":
	default:
		return usagef("--log-format %s: want auto, text or json", g.logFormat)
	}
	if g.jobs < 1 || g.stall <= 0 {
		return usagef("--concurrency and --registry-timeout must be more than 0")
	}
	if g.cacheDir == "" {
		g.cacheDir = filepath.Join(xdg.CacheHome, "nanopatch")
	}
	return nil
}

// configure reads the config file and gives every flag that is still open its value from there.
func (g *globalOptions) configure(cmd *cobra.Command) error {
	c, err := config.Load(g.configFile)
	if err != nil {
		return usagef("%w", err)
	}
	g.config, g.outputs.configured = c, c.Output
	if err := fromConfig(cmd.Flags(), c); err != nil {
		return err
	}
	if g.cacheBytes, err = config.ParseSize(g.cacheSize); err != nil {
		return usagef("--cache-size: %w", err)
	}
	return nil
}

// fromEnvironment sets flags from NANOPATCH_<FLAG>: NANOPATCH_MIN_AGE for --min-age.
func fromEnvironment(flags *pflag.FlagSet, getenv func(string) string) error {
	var first error
	typed := decided(flags)
	flags.VisitAll(func(f *pflag.Flag) {
		name := "NANOPATCH_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		v := getenv(name)
		if v == "" || typed[f.Name] || first != nil || f.Name == "version" || f.Name == "help" {
			return // NANOPATCH_VERSION is how build scripts pin a release
		}
		if err := flags.Set(f.Name, v); err != nil {
			first = usagef("%s: %w", name, err)
		}
	})
	return first
}

// decided tells which flags have their value from the command line or the environment. Whether and with what to sign is
// one decision: --no-sign settles --key, and the other way round.
func decided(flags *pflag.FlagSet) map[string]bool {
	all := make(map[string]bool)
	flags.Visit(func(f *pflag.Flag) {
		all[f.Name] = true
		switch {
		case f.Name == "key":
			all["no-sign"] = true
		case f.Name == "no-sign" && f.Value.String() == "true":
			all["key"] = true
		}
	})
	return all
}

// fromConfig sets the flags that a config file has a value for; a command without the flag does not care.
func fromConfig(flags *pflag.FlagSet, c *config.Config) error {
	values := map[string][]string{
		"level": one(c.Level), "level-by": one(c.LevelBy), "only": c.Only, "min-age": one(c.MinAge),
		"repo-override": c.Repositories, "keyring": c.Keyrings, "advisories": c.Advisories,
		"repo-auth": one(c.RepositoryAuth), "cache-size": one(c.CacheSize),
	}
	if flags.Lookup("signature-format") != nil {
		values["key"] = one(c.Sign.Key) // elsewhere, as in verify, --key is a public key
	}
	if c.SecurityOnly {
		values["security-only"] = []string{"true"}
	}
	for host, r := range c.Registries {
		if r.Insecure {
			values["insecure-registry"] = append(values["insecure-registry"], host)
		}
		for _, m := range r.Mirrors {
			if host, _, _ := strings.Cut(m.Location, "/"); m.Insecure {
				values["insecure-registry"] = append(values["insecure-registry"], host)
			}
		}
	}
	before := decided(flags)
	for name, vs := range values {
		if flags.Lookup(name) == nil || before[name] {
			continue
		}
		for _, v := range vs {
			if err := flags.Set(name, v); err != nil {
				return usagef("config file: %s: %w", name, err)
			}
		}
	}
	return nil
}

func one(v string) []string {
	if v == "" {
		return nil
	}
	return []string{v}
}

func usagef(format string, a ...any) error { return &usageError{fmt.Errorf(format, a...)} }
