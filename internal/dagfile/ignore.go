package dagfile

import (
	"regexp"
	"strings"
)

// IgnoreName is the name of the files with patterns of what Airflow must not load.
const IgnoreName = ".airflowignore"

// The limits of what is judged, for all .airflowignore files of a version together.
const (
	maxRules = 2_000
	maxLine  = 4 << 10 // bytes of a pattern
	maxInsts = 1 << 18 // instructions of compiled patterns, of 40 bytes each
	maxWork  = 1 << 27 // steps of a machine: a second or two
	perInst  = 16      // steps for compiling an instruction
	perByte  = 8       // steps for reading a byte of a file with patterns

	perElement = 16 // steps for an element of a name that leads over symlinks
)

// UnjudgedError is the reason, in a sentence, why Slipway cannot tell which files of a
// version Airflow loads.
type UnjudgedError string

func (u UnjudgedError) Error() string { return string(u) }

// The reasons found in patterns. Airflow itself has no limits.
const (
	errCostly  = UnjudgedError("The patterns in .airflowignore are too many, or too complicated, for so many files.")
	errLongRow = UnjudgedError("A pattern in .airflowignore is longer than 4 KiB.")
)

// rule is one pattern of an .airflowignore file.
type rule struct {
	pattern
	keeps   bool   // a glob pattern after "!"
	base    string // the folder that names are relative to
	byName  bool   // against the last element of the path alone
	folders bool   // against folders alone
}

// comments are cut from each line by Airflow, in both syntaxes, and escaped ones
// too.
var comments = regexp.MustCompile(`\s*#.*`)

// rules returns the patterns of the .airflowignore in the folder dir. As in
// Airflow, a pattern that does not compile is left out.
func (w *walk) rules(text, dir string) (all []rule) {
	w.work += perByte * len(text)
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	for line := range strings.SplitSeq(text, "\n") {
		if w.check(); w.err != nil {
			return nil
		}
		if line = comments.ReplaceAllString(line, ""); line == "" {
			continue
		}
		if len(line) > maxLine {
			w.err = errLongRow
			return nil
		}
		r, ok := globRule(line, dir)
		if w.airflow == 2 {
			r, ok = regexpRule(line)
		}
		if !ok {
			continue
		}
		w.count++
		w.insts += len(r.prog.Inst)
		w.work += perInst * len(r.prog.Inst)
		all = append(all, r)
	}
	return all
}

// check notes that the walk has to end: for a limit, or because nobody waits for
// the answer any more.
func (w *walk) check() {
	if w.err == nil && (w.count > maxRules || w.insts > maxInsts || w.work+perElement*w.steps > maxWork) {
		w.err = errCostly
	}
	if w.err == nil {
		w.err = w.ctx.Err()
	}
}

// regexpRule is a pattern in the default syntax of Airflow 2: RE2, found anywhere in
// the path below the dags folder.
func regexpRule(line string) (rule, bool) {
	p, ok := compile(line)
	return rule{pattern: p}, ok
}

// globRule is a pattern in the default syntax of Airflow 3.
func globRule(line, dir string) (rule, bool) {
	expr, keeps, ok := translate(line)
	if !ok {
		return rule{}, false
	}
	p, ok := compile(expr)
	if !ok {
		return rule{}, false
	}
	r := rule{pattern: p, keeps: keeps, base: dir}
	r.byName = !strings.HasPrefix(line, "/") && !strings.Contains(strings.TrimRight(line, "/"), "/")
	r.folders = strings.HasSuffix(strings.TrimRight(line, " \t"), "/")
	return r, true
}

// ignored reports whether all, in order, leave out the path of a file or folder.
func (w *walk) ignored(all []rule, path string, folder bool) bool {
	if w.check(); w.err != nil {
		return true
	}
	_, last := split(path)
	end := ""
	if folder && w.airflow != 2 {
		end = "/"
	}
	out := false
	for _, r := range all {
		w.work++
		if r.folders && !folder {
			continue
		}
		name := last
		if !r.byName {
			name = strings.TrimPrefix(strings.TrimPrefix(path, r.base), "/")
		}
		if w.matches(r.pattern, name+end) {
			out = !r.keeps
		}
		if out && w.airflow == 2 {
			return true
		}
	}
	return out
}
