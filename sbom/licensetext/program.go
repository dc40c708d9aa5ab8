package licensetext

// instruction is one of a program that matches patterns word by word.
type instruction struct {
	op  operation
	arg int32
}

type operation int32

const (
	opWord   operation = iota // takes the word arg
	opAny                     // takes any word
	opFork                    // goes on at the next instruction and at arg
	opJump                    // goes on at arg
	opCut                     // ends what is still in the wildcard that begins at arg
	opAccept                  // everything of license arg was there
)

// cutAfter is how many words after a wildcard decide that it is over. Only a wildcard of more words is cut.
const cutAfter = 3

// cut is one that is due after some more words.
type cut struct {
	wildcard int32 // where the wildcard begins
	after    int
}

// compiler writes programs. Those of several patterns stand behind each other; each begins where the one before accepts.
type compiler struct {
	code    []instruction
	numbers []int32
	cuts    []cut // those that are due, by where their wildcards begin
}

// pattern appends the program of a pattern and returns where it begins.
func (c *compiler) pattern(p *pattern) int32 {
	start := c.here()
	c.numbers = p.numbers
	c.expression(p.root, true)
	c.cutAll()
	c.emit(opAccept, int32(p.license))
	return start
}

func (c *compiler) here() int32 { return int32(len(c.code)) }

func (c *compiler) emit(op operation, arg int32) int32 {
	c.code = append(c.code, instruction{op: op, arg: arg})
	return c.here() - 1
}

// expression appends what matches e. last is that nothing has to follow e in its pattern: then nothing would ever cut what
// is due behind it.
func (c *compiler) expression(e expression, last bool) {
	switch e := e.(type) {
	case words:
		for _, n := range c.numbers[e.from:e.to] {
			c.emit(opWord, n)
			c.countdown()
		}
		if last {
			c.cutAll()
		}
	case wildcard:
		c.wildcard(e)
	case sequence:
		required := len(e)
		if last {
			required = e.required()
		}
		for i, item := range e {
			c.expression(item, i >= required)
		}
	case choice:
		c.choice(e, last)
	case optional:
		fork, before := c.emit(opFork, 0), c.cuts
		c.expression(e.of, last)
		if last {
			c.cutAll()
		}
		c.cuts = later(before, c.cuts)
		c.code[fork].arg = c.here()
	}
}

// wildcard appends what takes up to n words: a fork behind the wildcard before each of them, so that there are never more than two
// ways to go on.
func (c *compiler) wildcard(n wildcard) {
	c.cutAll()
	start := c.here()
	end := start + 2*int32(n)
	for c.here() < end {
		c.emit(opFork, end)
		c.emit(opAny, 0)
	}
	if n > cutAfter {
		c.cuts = []cut{{wildcard: start, after: cutAfter}}
	}
}

func (c *compiler) choice(alternatives choice, last bool) {
	before := c.cuts
	var due []cut
	var jumps []int32
	for i, e := range alternatives {
		fork := int32(-1)
		if i+1 < len(alternatives) {
			fork = c.emit(opFork, 0)
		}
		c.cuts = before
		c.expression(e, last)
		due = later(due, c.cuts)
		if fork >= 0 {
			jumps = append(jumps, c.emit(opJump, 0))
			c.code[fork].arg = c.here()
		}
	}
	for _, jump := range jumps {
		c.code[jump].arg = c.here()
	}
	c.cuts = due
}

// countdown takes note of one more word, and cuts what was due after it.
func (c *compiler) countdown() {
	var due []cut
	for _, d := range c.cuts {
		d.after--
		if d.after == 0 {
			c.emit(opCut, d.wildcard)
		} else {
			due = append(due, d)
		}
	}
	c.cuts = due
}

// cutAll cuts what is due, now.
func (c *compiler) cutAll() {
	for _, d := range c.cuts {
		c.emit(opCut, d.wildcard)
	}
	c.cuts = nil
}

// later joins what is due on two ways to the same place. A cut that is due on both is due when it is on the longer one.
func later(a, b []cut) []cut {
	var due []cut
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0].wildcard < b[0].wildcard:
			due, a = append(due, a[0]), a[1:]
		case a[0].wildcard > b[0].wildcard:
			due, b = append(due, b[0]), b[1:]
		default:
			due = append(due, cut{wildcard: a[0].wildcard, after: max(a[0].after, b[0].after)})
			a, b = a[1:], b[1:]
		}
	}
	return append(append(due, a...), b...)
}
