package dpkg

import (
	"bytes"
	"os/exec"
	"testing"
)

// TestUnpackDictionary reads what dpkg-deb -z9 makes, and nothing that asks for more memory.
func TestUnpackDictionary(t *testing.T) {
	if _, err := exec.LookPath("xz"); err != nil {
		t.Skip("there is no xz here")
	}
	for size, readable := range map[string]bool{"64MiB": true, "128MiB": false} {
		cmd := exec.CommandContext(t.Context(), "xz", "--format=xz", "--lzma2=dict="+size, "-c")
		cmd.Stdin = bytes.NewReader(controlTar())
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		_, err = unpackBytes(t, rawDeb(version2, rawMember{"control.tar.xz", out}, rawMember{"data.tar", rawTar()}))
		if (err == nil) != readable {
			t.Errorf("dictionary of %s: %v", size, err)
		}
	}
}
