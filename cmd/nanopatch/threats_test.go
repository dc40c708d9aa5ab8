package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestThreats: every forgery and test that the page about threats names is there.
func TestThreats(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "sign", "doc.go"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(strings.ReplaceAll(string(page), "//", " ")), " ")
	var known, all []string
	for _, f := range forgeries {
		all = append(all, f.name)
	}
	for _, entry := range regexp.MustCompile(`forger(?:y|ies) ("[^.;)]*)`).FindAllStringSubmatch(text, -1) {
		for _, name := range regexp.MustCompile(`"([^"]+)"`).FindAllStringSubmatch(entry[1], -1) {
			known = append(known, name[1])
			if !slices.Contains(all, name[1]) {
				t.Errorf("the page names a forgery %q, which is not tested", name[1])
			}
		}
	}
	if len(known) < 12 {
		t.Errorf("only %d forgeries are found on the page: %q", len(known), known)
	}
	for _, name := range regexp.MustCompile(`Test[A-Z]\w+`).FindAllString(text, -1) {
		if !defined(t, name) {
			t.Errorf("the page names the test %s, which does not exist", name)
		}
	}
}

// defined tells whether a test of the name is in the packages that the page is about.
func defined(t *testing.T, name string) bool {
	t.Helper()
	var files []string
	for _, pattern := range []string{"*_test.go", "internal/*/*_test.go", "../../sign/*/*_test.go", "../../rebuild/*_test.go"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	return slices.ContainsFunc(files, func(file string) bool {
		b, err := os.ReadFile(file)
		return err == nil && strings.Contains(string(b), "func "+name+"(")
	})
}
