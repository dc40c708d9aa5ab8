// Command nanopatch keeps container images current by the smallest possible change.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/cli"
)

// heapFloor is memory that is reserved and never touched, so that it costs address space alone. It makes the collector wait
// until there is something worth collecting: a run that begins with an empty heap would go through dozens of collections of a
// few megabytes each, a tenth of the time that a first SBOM takes.
var heapFloor = make([]byte, 32<<20)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal asks for an orderly end; from then on the system's own handling is back, so that a second one
	// ends the program whatever it is doing.
	context.AfterFunc(ctx, stop)
	code := cli.Main(ctx, os.Args[1:], cli.System())
	runtime.KeepAlive(heapFloor)
	os.Exit(code)
}
