package posix

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
)

// eachFile calls f with the content of the named files; of one that cannot be read it complains.
func eachFile(p *script.Process, names []string, failed int, f func(name string, data []byte) error) (int, error) {
	status := 0
	err := p.ReadFiles(names, func(name string, data []byte, err error) error {
		if err != nil {
			status = failed
			_, err = p.FailFile(failed, name, err)
			return err
		}
		return f(name, data)
	})
	return status, err
}

// lines splits text; the last line need not end in a newline.
func lines(data []byte) []string {
	if len(data) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
}

func allLines(p *script.Process, names []string) ([]string, int, error) {
	var all []string
	status, err := eachFile(p, names, 1, func(_ string, data []byte) error {
		all = append(all, lines(data)...)
		return nil
	})
	return all, status, err
}

func printLines(p *script.Process, list []string) error {
	if len(list) == 0 {
		return nil
	}
	return p.Print(strings.Join(list, "\n") + "\n")
}

func cat(p *script.Process) (int, error) {
	opts, args, err := p.Options("u s squeeze-blank")
	if err != nil {
		return 0, err
	}
	if script.Has(opts, "s", "squeeze-blank") {
		return 0, p.Unknownf("has the option -s, which is not modelled")
	}
	return eachFile(p, args, 1, func(_ string, data []byte) error { return p.Print(string(data)) })
}

func head(p *script.Process) (int, error) { return part(p, true) }
func tail(p *script.Process) (int, error) { return part(p, false) }

// part prints the first or last lines of its input.
func part(p *script.Process, first bool) (int, error) {
	if len(p.Args) > 1 && len(p.Args[1]) > 1 && p.Args[1][0] == '-' {
		if _, err := strconv.Atoi(p.Args[1][1:]); err == nil { // the old -5
			p.Args = append([]string{p.Args[0], "-n", p.Args[1][1:]}, p.Args[2:]...)
		}
	}
	opts, args, err := p.Options("n: lines: c: bytes: q quiet")
	if err != nil {
		return 0, err
	}
	if len(args) > 1 {
		return 0, p.Unknownf("reads several files")
	}
	count, bytesToo := "10", false
	for _, o := range opts {
		switch o.Name {
		case "n", "lines":
			count, bytesToo = o.Value, false
		case "c", "bytes":
			count, bytesToo = o.Value, true
		}
	}
	fromStart := !first && strings.HasPrefix(count, "+")
	allBut := first && strings.HasPrefix(count, "-")
	n, err := strconv.Atoi(strings.TrimLeft(count, "+-"))
	if err != nil || first && count[0] == '+' {
		return 0, p.Unknownf("has the count %.20q", count)
	}
	return eachFile(p, args, 1, func(_ string, data []byte) error {
		units := strings.SplitAfter(string(data), "\n")
		if bytesToo {
			units = strings.Split(string(data), "")
			if len(data) != len(units) {
				return p.Unknownf("counts bytes of text that is not ASCII")
			}
		} else if units[len(units)-1] == "" {
			units = units[:len(units)-1]
		}
		switch size := len(units); {
		case fromStart:
			units = units[min(size, max(0, n-1)):]
		case allBut:
			units = units[:max(0, size-n)]
		case first:
			units = units[:min(size, n)]
		default:
			units = units[max(0, size-n):]
		}
		return p.Print(strings.Join(units, ""))
	})
}

func wc(p *script.Process) (int, error) {
	opts, args, err := p.Options("l w c m lines words bytes chars")
	if err != nil {
		return 0, err
	}
	if len(opts) != 1 || len(args) > 1 {
		return 0, p.Unknownf("has operands that are not modelled")
	}
	return eachFile(p, args, 1, func(name string, data []byte) error {
		n := len(data)
		switch opts[0].Name {
		case "l", "lines":
			n = bytes.Count(data, []byte{'\n'})
		case "w", "words":
			n = len(bytes.Fields(data))
		}
		if len(args) == 0 {
			return p.Printf("%d\n", n)
		}
		return p.Printf("%d %s\n", n, name)
	})
}

func sortLines(p *script.Process) (int, error) {
	opts, args, err := p.Options("u r n g V f c o: t: k: unique reverse numeric-sort general-numeric-sort version-sort")
	if err != nil {
		return 0, err
	}
	numeric := script.Has(opts, "n", "g", "numeric-sort", "general-numeric-sort")
	if script.Has(opts, "V", "f", "c", "t", "k", "o", "version-sort") || numeric && script.Has(opts, "u", "unique") {
		return 0, p.Unknownf("sorts in a way that is not modelled")
	}
	all, status, err := allLines(p, args)
	if err != nil || status != 0 {
		return 2 * status, err
	}
	slices.Sort(all)
	if numeric {
		for _, line := range all {
			if _, err := strconv.ParseFloat(line, 64); err != nil || strings.ContainsAny(line, "eExXnNiI_") {
				return 0, p.Unknownf("sorts %.40q by number", line)
			}
		}
		slices.SortStableFunc(all, func(a, b string) int {
			x, _ := strconv.ParseFloat(a, 64)
			y, _ := strconv.ParseFloat(b, 64)
			return cmp.Compare(x, y)
		})
	}
	if script.Has(opts, "r", "reverse") {
		slices.Reverse(all)
	}
	if script.Has(opts, "u", "unique") {
		all = slices.Compact(all)
	}
	return 0, printLines(p, all)
}

func uniq(p *script.Process) (int, error) {
	opts, args, err := p.Options("d u c")
	if err != nil {
		return 0, err
	}
	if script.Has(opts, "c") || len(args) > 1 || len(opts) > 1 {
		return 0, p.Unknownf("has operands that are not modelled")
	}
	all, status, err := allLines(p, args)
	if err != nil {
		return 0, err
	}
	var out []string
	for i := 0; i < len(all); {
		j := i + 1
		for j < len(all) && all[j] == all[i] {
			j++
		}
		if len(opts) == 0 || (j-i > 1) == script.Has(opts, "d") {
			out = append(out, all[i])
		}
		i = j
	}
	return status, printLines(p, out)
}

func cut(p *script.Process) (int, error) {
	opts, args, err := p.Options("d: f: c: b: s delimiter: fields: characters: only-delimited")
	if err != nil {
		return 0, err
	}
	delimiter, list := "\t", value(opts, "f", "fields")
	if d := value(opts, "d", "delimiter"); d != "" {
		delimiter = d
	}
	chars := value(opts, "c", "b", "characters")
	if len(delimiter) != 1 || (list == "") == (chars == "") {
		return 0, p.Unknownf("has operands that are not modelled")
	}
	wanted, err := ranges(p, list+chars)
	if err != nil {
		return 0, err
	}
	return eachFile(p, args, 1, func(_ string, data []byte) error {
		var out []string
		for _, line := range lines(data) {
			sep := delimiter
			fields := strings.Split(line, sep)
			if chars != "" {
				sep = ""
				if fields = strings.Split(line, ""); len(fields) != len(line) {
					return p.Unknownf("cuts text that is not ASCII")
				}
			} else if len(fields) == 1 {
				if !script.Has(opts, "s", "only-delimited") {
					out = append(out, line)
				}
				continue
			}
			var kept []string
			for i, f := range fields {
				if wanted(i + 1) {
					kept = append(kept, f)
				}
			}
			out = append(out, strings.Join(kept, sep))
		}
		return printLines(p, out)
	})
}

// ranges reads a list like "1,3-5,7-".
func ranges(p *script.Process, list string) (func(int) bool, error) {
	type span struct{ from, to int }
	var spans []span
	for _, item := range strings.Split(list, ",") {
		a, b, isRange := strings.Cut(item, "-")
		s := span{1, 1 << 30}
		var err error
		if a != "" {
			if s.from, err = strconv.Atoi(a); err != nil {
				return nil, p.Unknownf("has the list %.20q", list)
			}
		}
		if b != "" {
			if s.to, err = strconv.Atoi(b); err != nil {
				return nil, p.Unknownf("has the list %.20q", list)
			}
		}
		if !isRange {
			s.to = s.from
		}
		spans = append(spans, s)
	}
	return func(n int) bool {
		return slices.ContainsFunc(spans, func(s span) bool { return s.from <= n && n <= s.to })
	}, nil
}

func tr(p *script.Process) (int, error) {
	opts, args, err := p.Options("+ d s c C delete squeeze-repeats complement")
	if err != nil {
		return 0, err
	}
	remove, squeeze := script.Has(opts, "d", "delete"), script.Has(opts, "s", "squeeze-repeats")
	if len(args) == 0 || len(args) > 2 || remove && (squeeze || len(args) != 1) || !remove && !squeeze && len(args) != 2 {
		return 0, p.Unknownf("has operands that are not modelled")
	}
	from, err := charSet(p, args[0])
	if err != nil {
		return 0, err
	}
	complement := script.Has(opts, "c", "C", "complement")
	if complement {
		var rest []byte
		for c := range 256 {
			if !slices.Contains(from, byte(c)) {
				rest = append(rest, byte(c))
			}
		}
		from = rest
	}
	var to []byte
	if len(args) == 2 {
		if to, err = charSet(p, args[1]); err != nil || len(to) == 0 {
			return 0, p.Unknownf("has the set %.20q", args[1])
		}
	}
	data, err := p.ReadAll()
	if err != nil {
		return 0, err
	}
	return 0, p.Print(string(translate(data, from, to, remove, squeeze)))
}

func translate(data, from, to []byte, remove, squeeze bool) []byte {
	out := make([]byte, 0, len(data))
	squeezed := to
	if to == nil {
		squeezed = from
	}
	for _, c := range data {
		at := bytes.LastIndexByte(from, c)
		if remove {
			if at < 0 {
				out = append(out, c)
			}
			continue
		}
		if at >= 0 && to != nil {
			c = to[min(at, len(to)-1)]
		}
		if squeeze && len(out) > 0 && out[len(out)-1] == c && bytes.IndexByte(squeezed, c) >= 0 {
			continue
		}
		out = append(out, c)
	}
	return out
}

// charSet reads one of tr's sets: characters, ranges, classes and escapes.
func charSet(p *script.Process, text string) ([]byte, error) {
	classes := map[string]string{
		"upper": "A-Z", "lower": "a-z", "digit": "0-9", "alpha": "A-Za-z", "alnum": "0-9A-Za-z", "space": `\t\n\v\f\r `, "blank": `\t `,
	}
	var set []byte
	for i := 0; i < len(text); i++ {
		if strings.HasPrefix(text[i:], "[:") {
			name, _, ok := strings.Cut(text[i+2:], ":]")
			class, known := classes[name]
			if !ok || !known {
				return nil, p.Unknownf("has the set %.40q", text)
			}
			more, err := charSet(p, class)
			if err != nil {
				return nil, err
			}
			set = append(set, more...)
			i += len(name) + 3
			continue
		}
		c := text[i]
		if c == '\\' && i+1 < len(text) {
			i++
			at := strings.IndexByte(`abfnrtv\-0`, text[i])
			if at < 0 || text[i] == '0' && i+1 < len(text) && text[i+1] >= '0' && text[i+1] <= '9' {
				return nil, p.Unknownf("has the set %.40q", text)
			}
			c = "\a\b\f\n\r\t\v\\-\x00"[at]
		} else if i+2 < len(text) && text[i+1] == '-' {
			for b := int(c); b <= int(text[i+2]); b++ {
				set = append(set, byte(b))
			}
			i += 2
			continue
		} else if c >= 0x80 || c == '[' && strings.Contains(text, "*]") {
			return nil, p.Unknownf("has the set %.40q", text)
		}
		set = append(set, c)
	}
	return set, nil
}

func tee(p *script.Process) (int, error) {
	opts, args, err := p.Options("a append")
	if err != nil {
		return 0, err
	}
	data, err := p.ReadAll()
	if err != nil {
		return 0, err
	}
	how := script.Truncate
	if script.Has(opts, "a", "append") {
		how = script.Append
	}
	for _, arg := range args {
		if p.Abs(arg) == "/dev/null" {
			continue
		}
		w, err := p.Tree().Create(p.Abs(arg), how, 0o666&^p.Umask())
		if err != nil {
			return p.FailFile(1, arg, err)
		}
		if _, err := w.Write(data); err != nil {
			return 0, err
		}
	}
	return 0, p.Print(string(data))
}

func seq(p *script.Process) (int, error) {
	bounds := []int{1, 1, 0}
	var values []int
	for _, arg := range p.Args[1:] {
		n, err := strconv.Atoi(arg)
		if err != nil {
			return 0, p.Unknownf("counts to %.20q", arg)
		}
		values = append(values, n)
	}
	switch len(values) {
	case 1:
		bounds[2] = values[0]
	case 2:
		bounds[0], bounds[2] = values[0], values[1]
	case 3:
		copy(bounds, values)
	default:
		return 0, p.Unknownf("has operands that are not modelled")
	}
	if bounds[1] <= 0 {
		return 0, p.Unknownf("counts backwards")
	}
	for n := bounds[0]; n <= bounds[2]; n += bounds[1] {
		if err := p.Step(); err != nil {
			return 0, err
		}
		if err := p.Printf("%d\n", n); err != nil {
			return 0, err
		}
	}
	return 0, nil
}
