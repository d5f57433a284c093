package dagfile

import (
	"regexp"
	"strings"

	"slipway/internal/slipway"
)

// IgnoreName is the name of the files with patterns of what Airflow must not load.
const IgnoreName = ".airflowignore"

const (
	maxRules = 2_000   // of all .airflowignore files in a version
	maxWork  = 1 << 28 // bytes of names times patterns, some seconds
)

// errTooManyRules refuses a version whose .airflowignore files cost too much.
var errTooManyRules = &slipway.Error{Kind: slipway.TooLarge, Text: "The patterns in .airflowignore are too many for so many files. Use fewer patterns."}

// rule is one pattern of an .airflowignore file.
type rule struct {
	re      *regexp.Regexp
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
func rules(text, dir string, airflow int) []rule {
	var all []rule
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	for line := range strings.SplitSeq(text, "\n") {
		if line = comments.ReplaceAllString(line, ""); line == "" {
			continue
		}
		r, ok := globRule(line, dir)
		if airflow == 2 {
			r, ok = regexpRule(line)
		}
		if ok {
			all = append(all, r)
		}
	}
	return all
}

// regexpRule is a pattern in the default syntax of Airflow 2: RE2, found anywhere in
// the path below the dags folder.
func regexpRule(line string) (rule, bool) {
	re, err := regexp.Compile(line)
	return rule{re: re}, err == nil
}

// globRule is a pattern in the default syntax of Airflow 3.
func globRule(line, dir string) (rule, bool) {
	pattern, keeps, ok := translate(line)
	if !ok {
		return rule{}, false
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return rule{}, false
	}
	r := rule{re: re, keeps: keeps, base: dir}
	r.byName = !strings.HasPrefix(line, "/") && !strings.Contains(strings.TrimRight(line, "/"), "/")
	r.folders = strings.HasSuffix(strings.TrimRight(line, " \t"), "/")
	return r, true
}

// ignored reports whether all, in order, leave out the path of a file or folder.
func (w *walk) ignored(all []rule, path string, folder bool) bool {
	out := false
	for _, r := range all {
		if r.folders && !folder {
			continue
		}
		name := strings.TrimPrefix(strings.TrimPrefix(path, r.base), "/")
		if r.byName {
			name = path[strings.LastIndexByte(path, '/')+1:]
		}
		if folder && w.airflow != 2 {
			name += "/"
		}
		w.work += len(name) + 1
		if w.work <= maxWork && r.re.MatchString(name) {
			out = !r.keeps
		}
		if out && w.airflow == 2 {
			return true
		}
	}
	return out
}
