package render

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/sbom/report/page"
)

// The part of SARIF that is written (https://docs.oasis-open.org/sarif/sarif/v2.1.0/, sections 3.13 to 3.49).
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool       sarifTool     `json:"tool"`
		Results    []sarifResult `json:"results"`
		ColumnKind string        `json:"columnKind"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID               string          `json:"id"`
		ShortDescription sarifText       `json:"shortDescription"`
		Properties       sarifProperties `json:"properties"`
	}
	sarifProperties struct {
		Tags []string `json:"tags"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID              string            `json:"ruleId"`
		RuleIndex           int               `json:"ruleIndex"`
		Level               string            `json:"level"`
		Message             sarifText         `json:"message"`
		Locations           []sarifLocation   `json:"locations"`
		PartialFingerprints map[string]string `json:"partialFingerprints"`
	}
	sarifLocation struct {
		Physical sarifPhysical  `json:"physicalLocation"`
		Logical  []sarifLogical `json:"logicalLocations"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   sarifRegion   `json:"region"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine int `json:"startLine"`
	}
	sarifLogical struct {
		Name               string `json:"name"`
		FullyQualifiedName string `json:"fullyQualifiedName"`
		Kind               string `json:"kind"`
	}
)

// SARIF writes the security updates that plans hold, a result each. Code scanning wants a file and a line for each, which a package
// of an image has not: the file is the package database, the line the first.
func SARIF(w io.Writer, plans []*plan.Plan, version string) error {
	run := sarifRun{
		Tool:    sarifTool{sarifDriver{Name: "nanopatch", Version: version, Rules: []sarifRule{}}},
		Results: []sarifResult{}, ColumnKind: "unicodeCodePoints",
	}
	rules := make(map[ecosystem.Reason]int)
	for _, p := range plans {
		for _, h := range p.Held {
			if !h.Security {
				continue
			}
			if _, known := rules[h.Reason]; !known {
				rules[h.Reason] = len(run.Tool.Driver.Rules)
				run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{
					ID:               "held-security/" + string(h.Reason),
					ShortDescription: sarifText{"A security update is held: " + string(h.Reason)},
					Properties:       sarifProperties{Tags: []string{"security", "held"}},
				})
			}
			run.Results = append(run.Results, sarifHeld(p.Image, h, rules[h.Reason]))
		}
	}
	return plan.WriteJSON(w, sarifLog{
		Schema:  "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
		Version: "2.1.0", Runs: []sarifRun{run},
	})
}

// databases are the files that list the installed packages, by package type.
var databases = map[string]string{"deb": "var/lib/dpkg/status", "apk": "lib/apk/db/installed"}

func sarifHeld(i plan.Image, h plan.Hold, rule int) sarifResult {
	name := h.Type + "/" + h.Name
	if h.Arch != "" {
		name += ":" + h.Arch
	}
	// What makes two findings one over the nights: the package, and what it waits for; not the image's digest.
	sum := sha256.Sum256([]byte(strings.Join([]string{i.Ref, i.Platform, name, h.Candidate}, "\x00")))
	text := fmt.Sprintf("%s %s of %s (%s) stays at %s: the security update to %s is held, %s", h.Type, h.Name, i.Ref, i.Platform, h.From, h.Candidate, h.Reason)
	if h.Detail != "" {
		text += ": " + h.Detail
	}
	database := databases[h.Type]
	if database == "" {
		database = h.Type
	}
	return sarifResult{
		RuleID: "held-security/" + string(h.Reason), RuleIndex: rule, Level: "error", Message: sarifText{sarifMessage(text + ".")},
		Locations: []sarifLocation{{
			Physical: sarifPhysical{sarifArtifact{path.Join(uriPath(i.Ref), database)}, sarifRegion{1}},
			Logical:  []sarifLogical{{Name: page.Clean(h.Name), FullyQualifiedName: page.Clean(i.Ref + "/" + name), Kind: "package"}},
		}},
		PartialFingerprints: map[string]string{"nanopatch/v1": hex.EncodeToString(sum[:16])},
	}
}

// sarifMessage is a plain text message: brackets would make a link of it, braces a placeholder (SARIF 3.11.5 and 3.11.6).
func sarifMessage(s string) string {
	return strings.NewReplacer(`[`, `\[`, `]`, `\]`, "{", "{{", "}", "}}").Replace(page.Clean(s))
}

// uriPath makes a relative path that a URI reference may hold of an image's name.
func uriPath(ref string) string {
	segments := strings.FieldsFunc(ref, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", r)
	})
	segments = slices.DeleteFunc(segments, func(s string) bool { return strings.Trim(s, ".") == "" })
	return path.Join(append([]string{"image"}, segments...)...)
}
