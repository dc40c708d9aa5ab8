package posix

import (
	"bytes"
	"crypto/md5"  //nolint:gosec // md5sum is a program that scripts call
	"crypto/sha1" //nolint:gosec // as above
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
)

func itoa(n int) string { return strconv.Itoa(n) }

// sum prints or checks digests.
func sum(p *script.Process) (int, error) {
	opts, args, err := p.Options("b t c binary text check status quiet")
	if err != nil {
		return 0, err
	}
	digest := func(data []byte) string {
		var h hash.Hash
		switch path.Base(p.Args[0]) {
		case "md5sum":
			h = md5.New() //nolint:gosec // see above
		case "sha1sum":
			h = sha1.New() //nolint:gosec // see above
		default:
			h = sha256.New()
		}
		h.Write(data)
		return hex.EncodeToString(h.Sum(nil))
	}
	if script.Has(opts, "c", "check") {
		return checkSums(p, args, digest, script.Has(opts, "status"))
	}
	return eachFile(p, args, 1, func(name string, data []byte) error {
		if strings.ContainsAny(name, "\\\n") {
			return p.Unknownf("reads a file with the name %q", name)
		}
		mark := " "
		if script.Has(opts, "b", "binary") {
			mark = "*"
		}
		return p.Printf("%s %s%s\n", digest(data), mark, name)
	})
}

func checkSums(p *script.Process, args []string, digest func([]byte) string, quiet bool) (int, error) {
	if !quiet {
		return 0, p.Unknownf("checks digests and prints the results")
	}
	list, status, err := allLines(p, args)
	if err != nil || status != 0 {
		return status, err
	}
	for _, line := range list {
		want, name, ok := strings.Cut(line, " ")
		if !ok || len(name) < 2 {
			return 0, p.Unknownf("checks the line %.40q", line)
		}
		data, err := p.ReadFile(name[1:])
		if err != nil {
			return p.FailFile(1, name[1:], err)
		}
		if digest(data) != want {
			status = 1
		}
	}
	return status, nil
}

func cmpFiles(p *script.Process) (int, error) {
	return compare(p, "s quiet silent", "s", "quiet", "silent")
}

func diff(p *script.Process) (int, error) {
	return compare(p, "q brief w u N r b B", "q", "brief")
}

// compare tells whether two files are equal; a report of the differences is printed only where it goes unseen.
func compare(p *script.Process, known string, quiet ...string) (int, error) {
	opts, args, err := p.Options(known)
	if err != nil {
		return 0, err
	}
	if len(args) != 2 {
		return 0, p.Unknownf("has operands that are not modelled")
	}
	var content [2][]byte
	for i, arg := range args {
		if _, e, err := p.Tree().Stat(p.Abs(arg)); err == nil && e.IsDir() {
			return 0, p.Unknownf("compares directories")
		}
		if content[i], err = p.ReadFile(arg); err != nil {
			return p.FailFile(2, arg, err)
		}
	}
	if bytes.Equal(content[0], content[1]) {
		return 0, nil
	}
	for _, o := range opts {
		if o.Name == "w" || o.Name == "b" || o.Name == "B" {
			return 0, p.Unknownf("compares without white space")
		}
	}
	if !script.Has(opts, quiet...) {
		return 0, p.Unknownf("prints how files differ")
	}
	if path.Base(p.Args[0]) == "diff" {
		return 1, p.Printf("Files %s and %s differ\n", args[0], args[1])
	}
	return 1, nil
}

// expr evaluates "A : REGEX", comparisons and sums of two operands.
func expr(p *script.Process) (int, error) {
	args := p.Args[1:]
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 1 {
		return exprResult(p, args[0])
	}
	if len(args) != 3 {
		return 0, p.Unknownf("has an expression that is not modelled")
	}
	x, op, y := args[0], args[1], args[2]
	a, errA := strconv.Atoi(x)
	b, errB := strconv.Atoi(y)
	numbers := errA == nil && errB == nil
	order := strings.Compare(x, y)
	if numbers {
		order = a - b
	}
	truth := func(yes bool) (int, error) {
		if yes {
			return exprResult(p, "1")
		}
		return exprResult(p, "0")
	}
	switch op {
	case ":":
		return exprMatch(p, x, y)
	case "=", "==":
		return truth(order == 0)
	case "!=":
		return truth(order != 0)
	case "<":
		return truth(order < 0)
	case "<=":
		return truth(order <= 0)
	case ">":
		return truth(order > 0)
	case ">=":
		return truth(order >= 0)
	case "+", "-", "*":
		if !numbers {
			return p.Fail(2, "non-integer argument")
		}
		return exprResult(p, itoa(map[string]int{"+": a + b, "-": a - b, "*": a * b}[op]))
	}
	return 0, p.Unknownf("has an expression that is not modelled")
}

func exprMatch(p *script.Process, text, pat string) (int, error) {
	re, err := script.Regexp(strings.TrimPrefix(pat, "^"), false, false)
	if err != nil {
		return 0, err
	}
	anchored, err := regexp.Compile(`\A(?:` + re.String() + `)`)
	if err != nil {
		return 0, p.Unknownf("has an expression that is not modelled")
	}
	anchored.Longest()
	m := anchored.FindStringSubmatch(text)
	switch {
	case re.NumSubexp() > 0 && m == nil:
		return exprResult(p, "")
	case re.NumSubexp() > 0:
		return exprResult(p, m[1])
	case m == nil:
		return exprResult(p, "0")
	}
	return exprResult(p, itoa(len(m[0])))
}

func exprResult(p *script.Process, text string) (int, error) {
	status := 0
	if text == "" || text == "0" {
		status = 1
	}
	return status, p.Print(text + "\n")
}

// xargsLimits is the part of what --show-limits prints that scripts read. How much goes into one command line makes no
// difference to what is done.
const xargsLimits = "Maximum length of command we could actually use: 2086943\n"

// xargs runs a command with the words of its input.
func xargs(p *script.Process) (int, error) {
	if len(p.Args) == 2 && p.Args[1] == "--show-limits" {
		return 0, p.Print(xargsLimits)
	}
	opts, args, err := p.Options("+ 0 r n: I: d: s: max-chars: null no-run-if-empty max-args:")
	if err != nil {
		return 0, err
	}
	if script.Has(opts, "d") {
		return 0, p.Unknownf("has the option -d, which is not modelled")
	}
	data, err := p.ReadAll()
	if err != nil {
		return 0, err
	}
	var words []string
	insert := value(opts, "I")
	switch text := string(data); {
	case script.Has(opts, "0", "null"):
		words = strings.Split(strings.TrimSuffix(text, "\x00"), "\x00")
		if text == "" {
			words = nil
		}
	case strings.ContainsAny(text, `'"\`):
		return 0, p.Unknownf("reads quotes")
	case insert != "":
		for _, line := range lines(data) {
			words = append(words, strings.TrimLeft(line, " \t"))
		}
	default:
		words = strings.Fields(text)
	}
	if len(args) == 0 {
		args = []string{"echo"}
	}
	per := len(words)
	if n := value(opts, "n", "max-args"); n != "" {
		if per, err = strconv.Atoi(n); err != nil || per < 1 {
			return 0, p.Unknownf("has the count %.20q", n)
		}
	}
	return runBatches(p, args, words, insert, per, script.Has(opts, "r", "no-run-if-empty"))
}

func runBatches(p *script.Process, args, words []string, insert string, per int, notEmpty bool) (int, error) {
	var runs [][]string
	switch {
	case insert != "":
		for _, w := range words {
			run := make([]string, len(args))
			for i, a := range args {
				run[i] = strings.ReplaceAll(a, insert, w)
			}
			runs = append(runs, run)
		}
	case len(words) == 0 && !notEmpty:
		runs = [][]string{args}
	default:
		for len(words) > 0 {
			n := min(per, len(words))
			runs = append(runs, append(args[:len(args):len(args)], words[:n]...))
			words = words[n:]
		}
	}
	status := 0
	for _, run := range runs {
		if run[0] == "echo" {
			if err := p.Print(strings.Join(run[1:], " ") + "\n"); err != nil {
				return 0, err
			}
			continue
		}
		s, err := p.Run(run)
		if err != nil {
			return 0, err
		}
		switch {
		case s == 127 || s == 126:
			return s, nil
		case s == 255:
			return 124, nil
		case s != 0:
			status = 123
		}
	}
	return status, nil
}

const dateLayout = "Mon Jan _2 15:04:05 UTC 2006"

// date prints the time that it is for the script.
func date(p *script.Process) (int, error) {
	opts, args, err := p.Options("u utc R rfc-email d: date:")
	if err != nil {
		return 0, err
	}
	now := p.Time().UTC()
	if text := value(opts, "d", "date"); text != "" {
		if now, err = time.Parse(dateLayout, text); err != nil {
			return 0, p.Unknownf("reads the time %.40q", text)
		}
	}
	switch {
	case script.Has(opts, "R", "rfc-email") && len(args) == 0:
		return 0, p.Print(now.Format("Mon, 02 Jan 2006 15:04:05 -0700") + "\n")
	case len(args) == 0:
		return 0, p.Print(now.Format(dateLayout) + "\n")
	case len(args) > 1 || !strings.HasPrefix(args[0], "+"):
		return 0, p.Unknownf("has operands that are not modelled")
	}
	var b strings.Builder
	format := args[0][1:]
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b.WriteByte(format[i])
			continue
		}
		i++
		layout, ok := map[byte]string{
			'Y': "2006", 'm': "01", 'd': "02", 'H': "15", 'M': "04", 'S': "05", 'F': "2006-01-02", 'T': "15:04:05", 'y': "06",
		}[format[i]]
		switch {
		case ok:
			b.WriteString(now.Format(layout))
		case format[i] == 's':
			b.WriteString(strconv.FormatInt(now.Unix(), 10))
		case format[i] == '%':
			b.WriteByte('%')
		default:
			return 0, p.Unknownf("has the format %.40q", format)
		}
	}
	return 0, p.Print(b.String() + "\n")
}

// env runs a command with further variables, or none.
func env(p *script.Process) (int, error) {
	args := p.Args[1:]
	for len(args) > 0 && strings.Contains(args[0], "=") && !strings.HasPrefix(args[0], "-") {
		return 0, p.Unknownf("changes the environment")
	}
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		return 0, p.Unknownf("changes the environment")
	}
	return p.Run(args)
}
