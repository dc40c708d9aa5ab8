package clitest

import (
	"context"
	"os"
	"os/signal"

	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/cli"
)

const variable = "NANOPATCH_TEST_PROGRAM"

// Environ makes the test binary the program.
const Environ = variable + "=1"

// Main runs the tests or, if the environment asks for it, the program with the arguments of this process, and gives the exit code.
// change, unless nil, changes the world that the program sees.
func Main(ctx context.Context, tests func() int, change func(*cli.Env)) int {
	if os.Getenv(variable) == "" {
		return tests()
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	env := cli.System()
	if change != nil {
		change(&env)
	}
	return cli.Main(ctx, os.Args[1:], env)
}
