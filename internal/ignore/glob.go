package ignore

import "strings"

// mark is where matching goes on after a mismatch.
type mark struct {
	pattern int // behind the stars; 0 for no mark
	name    int // where the stars end
}

// match reports whether the pattern p, which is valid, matches all of name. One mark for
// each sort of stars is enough: other ends of earlier stars lead to no more names. So
// steps grow with both lengths and the number of folders, not exponentially. Without
// steps left, match returns false.
func match(p, name string, steps *int) bool {
	var star, deep mark
	for i, j := 0, 0; *steps >= 0; *steps-- {
		if i < len(p) && p[i] == '*' {
			end := i + len(p[i:]) - len(strings.TrimLeft(p[i:], "*"))
			switch {
			case !crosses(p, i, end):
				i, star = end, mark{end, j}
				continue
			case end == len(p):
				return true
			case p[end] == '/': // no folder, or the folders up to some slash
				i = end + len("/")
			default: // escaped: one folder or more
				slash := strings.IndexByte(name[j:], '/')
				if slash < 0 {
					return false
				}
				i, j = end+len(`\/`), j+slash+1
			}
			star, deep = mark{}, mark{i, j}
			continue
		}
		switch {
		case i == len(p) && j == len(name):
			return true
		case j == len(name): // other ends of the stars leave even less of name
			return false
		case i < len(p):
			next, has, _ := element(p, i, name[j])
			*steps -= next - i - 1
			if has {
				i, j = next, j+1
				continue
			}
		}
		if star.pattern > 0 && name[star.name] != '/' {
			star.name++
			i, j = star.pattern, star.name
			continue
		}
		slash := strings.IndexByte(name[deep.name:], '/')
		if deep.pattern == 0 || slash < 0 {
			return false
		}
		deep.name += slash + 1
		i, j, star = deep.pattern, deep.name, mark{}
	}
	return false
}

// crosses reports whether the stars p[i:end] match slashes, too: two or more that are
// all of a path element.
func crosses(p string, i, end int) bool {
	if end-i < 2 || i > 0 && p[i-1] != '/' {
		return false
	}
	return end == len(p) || p[end] == '/' || strings.HasPrefix(p[end:], `\/`)
}

// valid reports whether all elements of p are complete; otherwise p matches nothing.
func valid(p string) bool {
	for i := 0; i < len(p); {
		next, _, ok := element(p, i, 0)
		if !ok {
			return false
		}
		i = next
	}
	return true
}

// element reports whether the element of p at i, no star, has the byte c. next is the
// position behind the element; ok is false for an incomplete one.
func element(p string, i int, c byte) (next int, has, ok bool) {
	switch p[i] {
	case '?':
		return i + 1, c != '/', true
	case '[':
		return inClass(p, i, c)
	case '\\':
		if i+1 == len(p) {
			return i + 1, false, false
		}
		return i + 2, p[i+1] == c, true
	}
	return i + 1, p[i] == c, true
}
