package ignore

import "strings"

// special are the bytes that are no literals in a pattern.
const special = `*?[\`

// pattern is one line of an ignore file. The text stays as written and is read anew for
// each name: a megabyte of lines costs little memory.
type pattern struct {
	base    string // the folder of the ignore file, with a slash behind; "" for the root
	text    string // without "!" and the slashes at both ends
	literal int    // bytes of text before the first special one
	keeps   bool   // a match is not ignored: after "!"
	folders bool   // for folders alone: before a slash at the end
	byName  bool   // against the last element of a name: no slash elsewhere
	ending  bool   // byName, a star and a literal: *.csv
}

// parse reads a line. ok is false for a line without a pattern, or with one that
// matches nothing.
func parse(line string) (p pattern, ok bool) {
	line = strings.TrimSuffix(line, "\n")
	if strings.HasPrefix(line, "#") {
		return p, false
	}
	line = strings.TrimSuffix(line, "\r")
	line, _, _ = strings.Cut(line, "\x00") // ends a string in C, and so in git
	line, p.keeps = strings.CutPrefix(trimSpaces(line), "!")
	line, p.folders = strings.CutSuffix(line, "/")
	p.byName = !strings.Contains(line, "/")
	p.text = strings.TrimPrefix(line, "/")
	p.literal = len(p.text)
	if i := strings.IndexAny(p.text, special); i >= 0 {
		p.literal = i
	}
	p.ending = p.byName && strings.HasPrefix(p.text, "*") && !strings.ContainsAny(p.text[1:], special)
	return p, p.text != "" && valid(p.text)
}

// trimSpaces cuts spaces from the end, but for one behind a backslash. Tabs stay.
func trimSpaces(line string) string {
	end := 0
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case ' ':
			continue
		case '\\':
			i++
		}
		end = min(i+1, len(line))
	}
	return line[:end]
}

// matches reports whether p matches the name of a file or folder.
func (p pattern) matches(name string, folder bool, steps *int) bool {
	*steps--
	if p.folders && !folder || !strings.HasPrefix(name, p.base) {
		return false
	}
	name = name[len(p.base):]
	if p.byName {
		name = name[strings.LastIndexByte(name, '/')+1:]
	}
	if p.ending {
		return strings.HasSuffix(name, p.text[1:])
	}
	rest, ok := strings.CutPrefix(name, p.text[:p.literal])
	// As in git before 2.52, stars right behind the literal start count as the start of
	// a path: x/a**/b matches x/ab/c/b. To newer ones these are two single stars.
	return ok && match(p.text[p.literal:], rest, steps)
}
