package posix

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
)

// awkRun is the state of an awk program. Values are strings; numbers are strings that look like one or came from a
// reckoning, as awkValue says.
type awkRun struct {
	p       *script.Process
	program *awkProgram
	vars    map[string]awkValue
	arrays  map[string]map[string]awkValue
	fields  []string // $1 and on
	record  string
	nr      int
	status  int
	regexps map[string]*regexp.Regexp
}

// awkValue is a string, a number, or an input that may be read as either.
type awkValue struct {
	text   string
	number float64
	kind   byte // 's', 'n', or 'i' for input; 0 for a variable never set
}

func awkString(s string) awkValue  { return awkValue{text: s, kind: 's'} }
func awkInput(s string) awkValue   { return awkValue{text: s, kind: 'i'} }
func awkNumber(n float64) awkValue { return awkValue{number: n, kind: 'n'} }

func (v awkValue) String() string {
	if v.kind != 'n' {
		return v.text
	}
	if v.number == float64(int64(v.number)) {
		return strconv.FormatInt(int64(v.number), 10)
	}
	return strconv.FormatFloat(v.number, 'g', 6, 64)
}

var awkNumberPrefix = regexp.MustCompile(`^[ \t\n]*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?`)

func (v awkValue) float() float64 {
	if v.kind == 'n' {
		return v.number
	}
	n, _ := strconv.ParseFloat(strings.TrimSpace(awkNumberPrefix.FindString(v.text)), 64)
	return n
}

// numeric tells whether a value compares as a number.
func (v awkValue) numeric() bool {
	switch v.kind {
	case 'n', 0:
		return true
	case 'i':
		t := strings.TrimSpace(v.text)
		return t != "" && awkNumberPrefix.FindString(t) == t
	}
	return false
}

func (v awkValue) truth() bool {
	if v.kind == 0 {
		return false
	}
	if v.numeric() {
		return v.float() != 0
	}
	return v.text != ""
}

// The control flow of awk travels as errors.
type awkFlow string

func (f awkFlow) Error() string { return string(f) }

const (
	awkNext awkFlow = "next"
	awkExit awkFlow = "exit"
)

// awk runs the programs that scripts have: patterns, fields, the usual functions.
func awk(p *script.Process) (int, error) {
	opts, args, err := p.Options("+ F: v: f:")
	if err != nil {
		return 0, err
	}
	r := &awkRun{
		p: p, vars: map[string]awkValue{"FS": awkString(" "), "OFS": awkString(" "), "ORS": awkString("\n"), "SUBSEP": awkString("\x1c")},
		arrays: make(map[string]map[string]awkValue), regexps: make(map[string]*regexp.Regexp),
	}
	for _, o := range opts {
		switch o.Name {
		case "F":
			fs := o.Value
			if fs == "t" {
				return 0, p.Unknownf("separates fields by t")
			}
			r.vars["FS"] = awkString(awkEscapes(fs))
		case "v":
			name, value, _ := strings.Cut(o.Value, "=")
			r.vars[name] = awkInput(awkEscapes(value))
		default:
			return 0, p.Unknownf("has the option -%s, which is not modelled", o.Name)
		}
	}
	if len(args) == 0 {
		return p.Fail(2, "no program")
	}
	if r.program, err = parseAwk(p, args[0]); err != nil {
		return 0, err
	}
	return r.run(args[1:])
}

func awkEscapes(s string) string {
	return strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\t`, "\t", `\"`, `"`, `\/`, "/").Replace(s)
}

func (r *awkRun) run(files []string) (int, error) {
	err := r.rules(r.program.begin)
	if err == nil && len(r.program.rules)+len(r.program.end) > 0 {
		for _, f := range files {
			if name, _, ok := strings.Cut(f, "="); ok && !strings.Contains(name, "/") {
				return 0, r.p.Unknownf("assigns among its files")
			}
		}
		err = r.p.ReadFiles(files, func(name string, data []byte, failed error) error {
			if failed != nil {
				r.status = 2
				_, err := r.p.FailFile(2, name, failed)
				return err
			}
			return r.file(data)
		})
	}
	if err != nil && err != awkExit { //nolint:errorlint // flow is never wrapped
		return 0, err
	}
	if err == nil || len(r.program.end) > 0 {
		if err := r.rules(r.program.end); err != nil && err != awkExit { //nolint:errorlint // as above
			return 0, err
		}
	}
	return r.status, nil
}

func (r *awkRun) file(data []byte) error {
	if rs, ok := r.vars["RS"]; ok && rs.text != "\n" {
		return r.p.Unknownf("sets RS")
	}
	for _, line := range lines(data) {
		if err := r.p.Spend(len(line) + 1); err != nil {
			return err
		}
		r.nr++
		r.setRecord(line)
		if err := r.rules(r.program.rules); err != nil && err != awkNext { //nolint:errorlint // as above
			return err
		}
	}
	return nil
}

func (r *awkRun) rules(rules []awkRule) error {
	for i := range rules {
		rule := &rules[i]
		if err := r.p.Step(); err != nil {
			return err
		}
		if rule.pattern != nil {
			v, err := rule.pattern(r)
			if err != nil {
				return err
			}
			if !v.truth() {
				continue
			}
		}
		if err := rule.action(r); err != nil {
			return err
		}
	}
	return nil
}

// setRecord splits a line into fields.
func (r *awkRun) setRecord(line string) {
	r.record = line
	r.fields = r.split(line, r.vars["FS"].text)
}

func (r *awkRun) split(text, fs string) []string {
	switch {
	case fs == " ":
		return strings.Fields(text)
	case text == "":
		return nil
	case len(fs) == 1:
		return strings.Split(text, fs)
	}
	re, err := r.regexp(fs)
	if err != nil {
		return nil
	}
	return re.Split(text, -1)
}

func (r *awkRun) regexp(expr string) (*regexp.Regexp, error) {
	if re, ok := r.regexps[expr]; ok {
		return re, nil
	}
	if err := r.p.Spend(200 * len(expr)); err != nil {
		return nil, err
	}
	re, err := script.Regexp(strings.ReplaceAll(expr, `\/`, "/"), true, false)
	if err == nil && len(r.regexps) < 200 {
		r.regexps[expr] = re
	}
	return re, err
}

func (r *awkRun) field(n int) awkValue {
	switch {
	case n == 0:
		return awkInput(r.record)
	case n > len(r.fields):
		return awkValue{kind: 'i'}
	}
	return awkInput(r.fields[n-1])
}

// setField sets a field and makes the record anew.
func (r *awkRun) setField(n int, v string) error {
	if n == 0 {
		r.setRecord(v)
		return nil
	}
	if n < 0 || n > 10_000 {
		return r.p.Unknownf("sets the field %d", n)
	}
	for len(r.fields) < n {
		r.fields = append(r.fields, "")
	}
	r.fields[n-1] = v
	r.join()
	return r.p.Spend(len(r.record))
}

func (r *awkRun) join() { r.record = strings.Join(r.fields, r.vars["OFS"].String()) }

func (r *awkRun) variable(name string) awkValue {
	switch name {
	case "NF":
		return awkNumber(float64(len(r.fields)))
	case "NR", "FNR":
		return awkNumber(float64(r.nr))
	}
	return r.vars[name]
}

func (r *awkRun) set(name string, v awkValue) error {
	switch name {
	case "NF":
		n := int(v.float())
		if n < 0 || n > 10_000 {
			return r.p.Unknownf("sets NF to %d", n)
		}
		for len(r.fields) < n {
			r.fields = append(r.fields, "")
		}
		r.fields = r.fields[:n]
		r.join()
		return nil
	case "NR", "FNR", "RS", "FILENAME", "CONVFMT", "OFMT":
		return r.p.Unknownf("sets %s", name)
	}
	if len(v.text) > 1<<20 {
		return r.p.Unknownf("makes a value of more than 1 MiB")
	}
	r.vars[name] = v
	return r.p.Spend(len(v.text) + 8)
}

// call runs a function of awk.
func (r *awkRun) call(name string, args []awkExpr, target *awkTarget) (awkValue, error) {
	if name == "sub" || name == "gsub" {
		return r.substitute(args, target, name == "gsub")
	}
	if name == "split" {
		return r.splitInto(args, target)
	}
	values := make([]awkValue, len(args))
	for i, a := range args {
		var err error
		if values[i], err = a(r); err != nil {
			return awkValue{}, err
		}
	}
	switch {
	case name == "length" && len(args) == 0:
		return awkNumber(float64(len(r.record))), nil
	case name == "length" && len(args) == 1:
		return awkNumber(float64(len(values[0].String()))), nil
	case name == "int" && len(args) == 1:
		return awkNumber(float64(int64(values[0].float()))), nil
	case name == "tolower" && len(args) == 1:
		return awkString(strings.ToLower(values[0].String())), nil
	case name == "toupper" && len(args) == 1:
		return awkString(strings.ToUpper(values[0].String())), nil
	case name == "index" && len(args) == 2:
		return awkNumber(float64(strings.Index(values[0].String(), values[1].String()) + 1)), nil
	case name == "substr" && len(args) >= 2:
		return r.substr(values), nil
	case name == "sprintf" && len(args) >= 1:
		text, err := r.format(values)
		return awkString(text), err
	case name == "match" && len(args) == 2:
		return r.match(values[0].String(), values[1].String())
	}
	return awkValue{}, r.p.Unknownf("calls %s", name)
}

func (r *awkRun) match(text, expr string) (awkValue, error) {
	re, err := r.regexp(expr)
	if err != nil {
		return awkValue{}, err
	}
	start, length := 0, -1
	if m := re.FindStringIndex(text); m != nil {
		start, length = m[0]+1, m[1]-m[0]
	}
	r.vars["RSTART"], r.vars["RLENGTH"] = awkNumber(float64(start)), awkNumber(float64(length))
	return awkNumber(float64(start)), nil
}

func (r *awkRun) substr(values []awkValue) awkValue {
	text := values[0].String()
	from, end := int(values[1].float()), len(text)+1
	if len(values) > 2 {
		end = min(end, from+int(values[2].float()))
	}
	from = max(from, 1)
	if from >= end {
		return awkString("")
	}
	return awkString(text[from-1 : end-1])
}

func (r *awkRun) substitute(args []awkExpr, target *awkTarget, all bool) (awkValue, error) {
	if len(args) != 2 {
		return awkValue{}, r.p.Unknownf("calls sub in a way that is not modelled")
	}
	expr, err := args[0](r)
	if err != nil {
		return awkValue{}, err
	}
	with, err := args[1](r)
	if err != nil {
		return awkValue{}, err
	}
	re, err := r.regexp(expr.String())
	if err != nil {
		return awkValue{}, err
	}
	old, err := target.get(r)
	if err != nil {
		return awkValue{}, err
	}
	text := old.String()
	matches := re.FindAllStringIndex(text, -1)
	if !all && len(matches) > 1 {
		matches = matches[:1]
	}
	if len(matches) == 0 {
		return awkNumber(0), nil
	}
	var b strings.Builder
	at := 0
	for _, m := range matches {
		b.WriteString(text[at:m[0]])
		b.WriteString(replacement(with.String(), text, m))
		at = m[1]
	}
	b.WriteString(text[at:])
	return awkNumber(float64(len(matches))), target.set(r, awkString(b.String()))
}

func (r *awkRun) splitInto(args []awkExpr, target *awkTarget) (awkValue, error) {
	if target == nil || target.name == "" || len(args) < 1 || len(args) > 2 {
		return awkValue{}, r.p.Unknownf("calls split in a way that is not modelled")
	}
	text, err := args[0](r)
	if err != nil {
		return awkValue{}, err
	}
	fs := r.vars["FS"]
	if len(args) == 2 {
		if fs, err = args[1](r); err != nil {
			return awkValue{}, err
		}
	}
	parts := r.split(text.String(), fs.String())
	array := make(map[string]awkValue, len(parts))
	for i, part := range parts {
		array[strconv.Itoa(i+1)] = awkInput(part)
	}
	r.arrays[target.name] = array
	return awkNumber(float64(len(parts))), r.p.Spend(16 * len(parts))
}

// format is printf with the verbs s, d, i, c and %.
func (r *awkRun) format(values []awkValue) (string, error) {
	text := values[0].String()
	values = values[1:]
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '%' {
			b.WriteByte(text[i])
			continue
		}
		end := i + 1
		for end < len(text) && strings.IndexByte("-0123456789", text[end]) >= 0 {
			end++
		}
		if end == len(text) || end-i > 6 {
			return "", r.p.Unknownf("has the format %.40q", text)
		}
		flags, verb := text[i+1:end], text[end]
		i = end
		if verb == '%' {
			b.WriteByte('%')
			continue
		}
		if len(values) == 0 {
			return "", r.p.Unknownf("has too few values for a format")
		}
		field := values[0].String()
		if verb == 'd' || verb == 'i' {
			field = strconv.FormatInt(int64(values[0].float()), 10)
		} else if verb != 's' {
			return "", r.p.Unknownf("has the format %.40q", text)
		}
		values = values[1:]
		b.WriteString(padded(field, flags, verb == 'd'))
	}
	return b.String(), nil
}

func padded(field, flags string, number bool) string {
	left := strings.HasPrefix(flags, "-")
	width, _ := strconv.Atoi(strings.Trim(flags, "-"))
	pad := max(0, width-len(field))
	switch {
	case left:
		return field + strings.Repeat(" ", pad)
	case number && strings.HasPrefix(flags, "0"):
		return strings.Repeat("0", pad) + field
	}
	return strings.Repeat(" ", pad) + field
}
