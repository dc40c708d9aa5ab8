package image

import (
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// ParsePlatforms reads platforms as --platform takes them: "linux/amd64", "linux/arm64/v8". Its errors are [ErrUsage].
func ParsePlatforms(specs []string) ([]v1.Platform, error) {
	var out []v1.Platform
	for _, spec := range specs {
		p, err := v1.ParsePlatform(spec)
		if err != nil || p.OS == "" || p.Architecture == "" || strings.Contains(spec+"/", "//") {
			return nil, &Error{
				Kind: ErrUsage, Ref: "--platform " + spec, What: "not a platform", Cause: err,
				Hint: "give OS/ARCH[/VARIANT], for example linux/amd64 or linux/arm64/v8",
			}
		}
		out = append(out, *p)
	}
	return out, nil
}

// matches tells whether an image for platform have is what someone who wrote want means. A wish without a variant takes
// any; otherwise a variant that is left out is the usual one of its architecture, as with docker and containerd.
func matches(want, have v1.Platform) bool {
	if want.OS != have.OS || want.Architecture != have.Architecture {
		return false
	}
	if want.OSVersion != "" && want.OSVersion != have.OSVersion {
		return false
	}
	return want.Variant == "" || usualVariant(want) == usualVariant(have)
}

func usualVariant(p v1.Platform) string {
	switch {
	case p.Variant != "":
		return p.Variant
	case p.Architecture == "arm64":
		return "v8"
	case p.Architecture == "arm":
		return "v7"
	case p.Architecture == "amd64":
		return "v1"
	default:
		return ""
	}
}

// platformOf is what an image's own config says.
func platformOf(config *v1.ConfigFile) v1.Platform {
	return v1.Platform{
		OS: config.OS, Architecture: config.Architecture, Variant: config.Variant,
		OSVersion: config.OSVersion, OSFeatures: config.OSFeatures,
	}
}
