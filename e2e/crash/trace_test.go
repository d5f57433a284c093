package crash

import (
	"bufio"
	"io"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// traced is a system call that strace saw. It begins on one line of the trace and ends
// on that or a later one.
type traced struct {
	name       string
	args       []string
	begin, end int
	failed     bool
}

var (
	wholeCall  = regexp.MustCompile(`^(\d+) +(\w+)\((.*)\) += (\S+)`)
	begunCall  = regexp.MustCompile(`^(\d+) +(\w+)\((.*?),? *<unfinished \.\.\.>$`)
	endedCall  = regexp.MustCompile(`^(\d+) +<\.\.\. (\w+) resumed>(.*)\) += (\S+)`)
	descriptor = regexp.MustCompile(`^(AT_FDCWD|-?\d+)<(.*)>$`)
)

// readTrace calls begin and end for each system call of a trace, in the order
// of its lines.
func readTrace(r io.Reader, begin, end func(*traced)) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	open := map[string]*traced{} // by thread
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		if m := begunCall.FindStringSubmatch(line); m != nil {
			c := &traced{name: m[2], args: splitArgs(m[3]), begin: n}
			open[m[1]] = c
			begin(c)
			continue
		}
		if m := endedCall.FindStringSubmatch(line); m != nil {
			c := open[m[1]]
			if c == nil {
				continue
			}
			delete(open, m[1])
			c.args = append(c.args, splitArgs(strings.TrimPrefix(m[3], ", "))...)
			c.end, c.failed = n, strings.HasPrefix(m[4], "-1") || m[4] == "?"
			end(c)
			continue
		}
		if m := wholeCall.FindStringSubmatch(line); m != nil {
			c := &traced{name: m[2], args: splitArgs(m[3]), begin: n, end: n, failed: strings.HasPrefix(m[4], "-1")}
			begin(c)
			end(c)
		}
	}
	return lines.Err()
}

// splitArgs splits arguments at the commas that are in no string and no path.
func splitArgs(text string) (args []string) {
	quoted, depth, from := false, 0, 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '<' || c == '{' || c == '[':
			depth++
		case c == '>' || c == '}' || c == ']':
			depth--
		case c == ',' && depth == 0:
			args = append(args, strings.TrimSpace(text[from:i]))
			from = i + 1
		}
	}
	if rest := strings.TrimSpace(text[from:]); rest != "" {
		args = append(args, rest)
	}
	return args
}

// arg returns an argument, "" if there are not that many.
func (c *traced) arg(n int) string {
	if n >= len(c.args) {
		return ""
	}
	return c.args[n]
}

// file returns what lies behind the descriptor that is an argument.
func (c *traced) file(n int) string {
	if m := descriptor.FindStringSubmatch(c.arg(n)); m != nil {
		return m[2]
	}
	return ""
}

// path returns the path that two arguments name: a folder and a name in it.
func (c *traced) path(n int) string {
	name := c.text(n + 1)
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	return filepath.Join(c.file(n), name)
}

// text returns the bytes of an argument that is a string.
func (c *traced) text(n int) string {
	s := strings.TrimSuffix(c.arg(n), "...")
	s = strings.TrimSuffix(strings.TrimPrefix(s, `"`), `"`)
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		if s[0] != '\\' || len(s) < 2 {
			b.WriteByte(s[0])
			s = s[1:]
			continue
		}
		digits := 1
		for digits < 4 && digits < len(s) && s[digits] >= '0' && s[digits] <= '7' {
			digits++
		}
		if code, err := strconv.ParseUint(s[1:digits], 8, 16); err == nil {
			b.WriteByte(byte(code))
			s = s[digits:]
			continue
		}
		b.WriteByte(strings.NewReplacer("n", "\n", "r", "\r", "t", "\t", "v", "\v", "f", "\f").Replace(s[1:2])[0])
		s = s[2:]
	}
	return b.String()
}
