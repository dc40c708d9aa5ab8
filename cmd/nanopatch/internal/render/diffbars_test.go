package render

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nanopatch/nanopatch/sbom"
)

func TestDiffBars(t *testing.T) {
	layer := func(index int, diffID, by string, size int64) sbom.Layer {
		return sbom.Layer{Index: index, Digest: "sha256:" + diffID + "0123456789abcdef", DiffID: diffID, CreatedBy: by, Size: size}
	}
	older := []sbom.Layer{layer(0, "base", "ADD rootfs", 1000), layer(1, "old", "RUN install", 500), layer(2, "app", "COPY app", 10), layer(3, "gone", "RUN test", 20)}
	newer := []sbom.Layer{layer(0, "base", "ADD rootfs", 1000), layer(1, "new", "RUN install", 250), layer(2, "more", "RUN more", 100), layer(3, "app", "COPY app", 10)}
	var got []string
	for _, l := range diffBars(older, newer) {
		got = append(got, fmt.Sprintf("%d %s %t %s %.0f%% %s", l.Index, l.State, l.Changed, l.Size, l.Share, l.CreatedBy))
	}
	want := []string{
		"0 kept false 1.0 kB 100% ADD rootfs", "1 rewritten true 500 B → 250 B 25% RUN install", "2 added true 100 B 10% RUN more",
		"3 kept false 10 B 1% COPY app", "3 removed true 20 B 2% RUN test",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("bars (-want +got):\n%s", d)
	}
	for name, sides := range map[string][2][]sbom.Layer{
		"no layers": {nil, newer}, "no sizes": {older, {layer(0, "base", "ADD rootfs", 0)}},
	} {
		if bars := diffBars(sides[0], sides[1]); bars != nil {
			t.Errorf("%s: %v", name, bars)
		}
	}
}
