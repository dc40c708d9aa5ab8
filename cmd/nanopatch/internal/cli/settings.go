package cli

import (
	"fmt"
	"path/filepath"
	"strings"

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
	outputs    []string
	quiet      bool
	verbose    bool
	logFormat  string

	config *config.Config
}

func (g *globalOptions) register(root *cobra.Command) {
	f := root.PersistentFlags()
	f.StringSliceVar(&g.platforms, "platform", nil, "platform of an index, as os/arch[/variant] (repeatable; default all)")
	f.StringVar(&g.configFile, "config", "", "config file (default "+config.DefaultFile+" if present)")
	f.StringVar(&g.cacheDir, "cache-dir", "", "where indexes, layers and packages are kept (default $XDG_CACHE_HOME/nanopatch)")
	f.StringSliceVar(&g.insecure, "insecure-registry", nil, "registry host[:port] that may be spoken to without TLS (repeatable)")
	f.StringVar(&g.caCert, "ca-cert", "", "PEM file of further certificate authorities to trust")
	f.StringArrayVarP(&g.outputs, "output", "o", nil, "output format, or FORMAT=FILE (repeatable)")
	f.BoolVarP(&g.quiet, "quiet", "q", false, "say nothing but the result and errors")
	f.BoolVarP(&g.verbose, "verbose", "v", false, "say more: each step and how long it took")
	f.StringVar(&g.logFormat, "log-format", "auto", "format of messages: auto, text or json")
}

// settle gives every flag that was not typed its value from the environment, else from the config file.
func (g *globalOptions) settle(cmd *cobra.Command) error {
	if err := fromEnvironment(cmd.Flags(), g.env.Getenv); err != nil {
		return err
	}
	c, err := config.Load(g.configFile)
	if err != nil {
		return usagef("%w", err)
	}
	g.config = c
	if err := fromConfig(cmd.Flags(), c); err != nil {
		return err
	}
	switch g.logFormat {
	case "auto", "text", "json":
	default:
		return usagef("--log-format %s: want auto, text or json", g.logFormat)
	}
	if g.cacheDir == "" {
		g.cacheDir = filepath.Join(xdg.CacheHome, "nanopatch")
	}
	return nil
}

// fromEnvironment sets flags from NANOPATCH_<FLAG>: NANOPATCH_MIN_AGE for --min-age.
func fromEnvironment(flags *pflag.FlagSet, getenv func(string) string) error {
	var first error
	flags.VisitAll(func(f *pflag.Flag) {
		name := "NANOPATCH_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		v := getenv(name)
		if v == "" || f.Changed || first != nil {
			return
		}
		if err := flags.Set(f.Name, v); err != nil {
			first = usagef("%s: %w", name, err)
		}
	})
	return first
}

// fromConfig sets the flags that a config file has a value for; a command without the flag does not care.
func fromConfig(flags *pflag.FlagSet, c *config.Config) error {
	values := map[string][]string{
		"level": one(c.Level), "level-by": one(c.LevelBy), "only": c.Only, "min-age": one(c.MinAge),
		"repo-override": c.Repositories, "keyring": c.Keyrings, "key": one(c.Sign.Key), "output": c.Output,
	}
	if c.SecurityOnly {
		values["security-only"] = []string{"true"}
	}
	for host, r := range c.Registries {
		if r.Insecure {
			values["insecure-registry"] = append(values["insecure-registry"], host)
		}
	}
	for name, vs := range values {
		f := flags.Lookup(name)
		if f == nil || f.Changed {
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
