// Command nanopatch keeps container images current by the smallest possible change.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal asks for an orderly end; from then on the system's own handling is back, so that a second one
	// ends the program whatever it is doing.
	context.AfterFunc(ctx, stop)
	os.Exit(cli.Main(ctx, os.Args[1:], cli.System()))
}
