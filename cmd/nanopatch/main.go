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
	code := cli.Main(ctx, os.Args[1:], cli.System())
	stop()
	os.Exit(code)
}
