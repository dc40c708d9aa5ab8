package posix_test

import (
	"fmt"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script/posix"
)

// A package manager adds its own programs to those that every system has.
func Example() {
	commands := posix.Commands()
	commands["dpkg"] = func(p *script.Process) (int, error) {
		if len(p.Args) == 2 && p.Args[1] == "--print-architecture" {
			return 0, p.Print("arm64\n")
		}
		return 0, p.Unknownf("has operands that are not modelled")
	}
	_, hasGrep := commands["grep"]
	_, hasPerl := commands["perl"]
	fmt.Println("grep is known:", hasGrep)
	fmt.Println("perl is known:", hasPerl)
	// Output:
	// grep is known: true
	// perl is known: false
}
