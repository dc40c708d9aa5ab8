package apk_test

import (
	"fmt"
	"log"
	"testing/fstest"

	"github.com/nanopatch/nanopatch/rebuild/pkgrepo/apk"
)

func ExampleSources() {
	image := fstest.MapFS{
		"etc/apk/repositories": {Data: []byte("/media/cdrom/apks\nhttps://dl-cdn.alpinelinux.org/alpine/v3.20/main\n@edge https://dl-cdn.alpinelinux.org/alpine/edge/main\n")},
	}
	configured, err := apk.Sources(image)
	if err != nil {
		log.Fatal(err)
	}
	for _, s := range configured.Sources {
		fmt.Println(s)
	}
	fmt.Println(configured.Notes[0])

	distroless := fstest.MapFS{"etc/os-release": {Data: []byte("ID=wolfi\n")}}
	if configured, err = apk.Sources(distroless); err != nil {
		log.Fatal(err)
	}
	fmt.Println(configured.Sources[0])
	// Output:
	// https://dl-cdn.alpinelinux.org/alpine/v3.20/main
	// @edge https://dl-cdn.alpinelinux.org/alpine/edge/main
	// etc/apk/repositories:1: /media/cdrom/apks is a path on the machine that built the image
	// https://packages.wolfi.dev/os
}
