package maintscript

import (
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// assign sets a variable. Those that change how the shell splits words, finds programs or tells them who they work for
// have to stay as they are.
func (e *evaluator) assign(at syntax.Node, name, value string) error {
	reserved := name == "IFS" || name == "PATH" || strings.HasPrefix(name, "DPKG_")
	if old, set := e.vars[name]; reserved && (!set || old != value) {
		return refuse(at, "assignment to %s: %s", name, source(at))
	}
	delete(e.unknown, name)
	e.vars[name] = value
	return nil
}

// assignments sets variables.
func (e *evaluator) assignments(list []*syntax.Assign) error {
	for _, a := range list {
		if a.Append || a.Array != nil || a.Index != nil || a.Name == nil || a.Naked {
			return refuse(a, "assignment: %s", source(a))
		}
		value, err := e.single(a.Value)
		if err != nil {
			return err
		}
		if err := e.assign(a, a.Name.Value, value); err != nil {
			return err
		}
	}
	return nil
}

// declare follows local, export and readonly as bash has them: no words are split.
func (e *evaluator) declare(c *syntax.DeclClause) (int, error) {
	local := c.Variant.Value == "local" || c.Variant.Value == "declare"
	if !local && c.Variant.Value != "export" && c.Variant.Value != "readonly" {
		return 0, refuse(c, "%s", source(c))
	}
	for _, a := range c.Args {
		if a.Name == nil {
			if option := a.Value.Lit(); a.Naked && (option == "-r" || option == "-x") {
				continue
			}
			return 0, refuse(c, "%s", source(c))
		}
		if a.Naked {
			if local {
				if err := e.local(c, a.Name.Value); err != nil {
					return 0, err
				}
			}
			continue
		}
		if a.Append || a.Array != nil || a.Index != nil {
			return 0, refuse(a, "assignment: %s", source(a))
		}
		value, err := e.single(a.Value)
		if err != nil {
			return 0, err
		}
		if local {
			if err := e.local(c, a.Name.Value); err != nil {
				return 0, err
			}
		}
		if err := e.assign(c, a.Name.Value, value); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// declareWords follows local, export and readonly as other shells have them: their arguments are words like any.
func (e *evaluator) declareWords(c *syntax.CallExpr, name string, args []string) error {
	for _, a := range args {
		if strings.HasPrefix(a, "-") {
			return refuse(c, "%s", source(c))
		}
		n, value, assigns := strings.Cut(a, "=")
		if name == "local" {
			if err := e.local(c, n); err != nil {
				return err
			}
		}
		if assigns {
			if err := e.assign(c, n, value); err != nil {
				return err
			}
		}
	}
	return nil
}

// local makes a variable one of the function being called. bash has it unset until it is assigned; others, and so
// perhaps /bin/sh, leave it its value.
func (e *evaluator) local(at syntax.Node, name string) error {
	if len(e.locals) == 0 || name == "IFS" || name == "PATH" {
		return refuse(at, "%s", source(at))
	}
	value, set := e.vars[name]
	frame := e.locals[len(e.locals)-1]
	if _, again := frame[name]; again {
		return nil
	}
	frame[name] = variable{value: value, set: set, unknown: e.unknown[name]}
	if set && !e.bash {
		e.unknown[name] = true
	} else if e.bash {
		delete(e.unknown, name)
	}
	delete(e.vars, name)
	return nil
}

// endLocals gives back what the variables of the function that ends have hidden.
func (e *evaluator) endLocals() {
	last := len(e.locals) - 1
	for name, was := range e.locals[last] {
		delete(e.vars, name)
		delete(e.unknown, name)
		if was.set {
			e.vars[name] = was.value
		}
		if was.unknown {
			e.unknown[name] = true
		}
	}
	e.locals = e.locals[:last]
}

// unset removes variables; what is not known stays so.
func (e *evaluator) unset(c *syntax.CallExpr, args []string) error {
	for _, a := range args {
		if a == "-v" {
			continue
		}
		_, isFunc := e.funcs[a]
		if strings.HasPrefix(a, "-") || isFunc || slices.Contains([]string{"IFS", "PATH"}, a) || strings.HasPrefix(a, "DPKG_") {
			return refuse(c, "%s", source(c))
		}
		delete(e.vars, a)
	}
	return nil
}
