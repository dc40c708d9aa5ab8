package gunzip_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"

	"github.com/nanopatch/nanopatch/rebuild/layer/gunzip"
)

func Example() {
	var layer bytes.Buffer
	for _, part := range []string{"one member, ", "and another\n"} {
		w := gzip.NewWriter(&layer)
		fmt.Fprint(w, part)
		w.Close()
	}
	_, err := io.Copy(os.Stdout, gunzip.NewReader(&layer))
	fmt.Println(err)
	// Output:
	// one member, and another
	// <nil>
}
