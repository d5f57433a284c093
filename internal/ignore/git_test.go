package ignore

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// sample is a folder of its own with ignore files, and names in it to ask for.
type sample struct {
	files map[string]string // text by folder: "", "sub", "sub/sub"
	names []string
}

// TestLikeGit compares the answers with those of git, for every short pattern of stars,
// slashes and negation, every short bracket expression, and generated ignore files.
func TestLikeGit(t *testing.T) {
	g := newRepository(t)
	r := rand.New(rand.NewPCG(13, 15))
	for name, samples := range map[string][]sample{
		"paths":     shortPatterns(),
		"brackets":  brackets(r, 800),
		"generated": generated(r, 2000),
	} {
		t.Run(name, func(t *testing.T) { g.compare(t, name, samples) })
	}
}

// shortPatterns has each text of up to six of these bytes as an ignore file of one line,
// below a line that ignores nearly all, for negations.
func shortPatterns() (list []sample) {
	var names []string
	for _, a := range []string{"a", "b", "ab"} {
		names = append(names, a)
		for _, b := range []string{"a", "b", "bab"} {
			names = append(names, a+"/"+b, a+"/"+b+"/a", a+"/"+b+"/b/a")
		}
	}
	for _, text := range texts("a*/", 6) {
		list = append(list, sample{map[string]string{"": text}, names})
	}
	for _, text := range texts("a*/", 4) {
		list = append(list, sample{map[string]string{"": "*\n!*/\n!" + text}, names})
		list = append(list, sample{map[string]string{"": "a*\n", "a": "!" + text}, names})
	}
	return list
}

// brackets has each bracket expression of up to three of these bytes, and n longer ones.
func brackets(r *rand.Rand, n int) (list []sample) {
	const alphabet = `ac-!]\[:`
	names := strings.Split(`a b c - ! ^ [ ] \ : al`, " ")
	all := texts(alphabet, 3)
	for range n {
		text := ""
		for range 4 + r.IntN(4) {
			text += pick(r, strings.Split(alphabet, ""))
		}
		all = append(all, text)
	}
	for _, text := range all {
		list = append(list, sample{map[string]string{"": "[" + text + "]"}, names})
	}
	return list
}

// texts returns all texts of one to most bytes of the alphabet.
func texts(alphabet string, most int) (list []string) {
	last := []string{""}
	for range most {
		var next []string
		for _, text := range last {
			for i := range len(alphabet) {
				next = append(next, text+alphabet[i:i+1])
			}
		}
		list = append(list, next...)
		last = next
	}
	return list
}

var (
	pieces = []string{
		"a", "b", "ab", "data", "keep", ".csv", ".", "é", "X", "7", "-", "#", "!", " ", "\t", "\r", "~", "}",
		"*", "*", "*", "**", "**", "***", "?", "?", "/", "/", "/", "/", "/**/", "**/", "/**", "/*", "*/",
		`\`, `\*`, `\?`, `\[`, `\\`, `\ `, `\#`, `\!`, `\/`, `\a`, `**\/`,
		"[", "]", "[a]", "[!a]", "[^a]", "[a-c]", "[!a-]", "[]a]", "[]-a]", "[!]a]", `[\]]`, `[a\-c]`, "[--0]", "[c-a]", "[a-c-e]", "[é]", "[*?]", "[/]", "[a/]", "[!/]",
		"[[:alpha:]]", "[[:digit:]a]", "[![:upper:]]", "[[:space:]]", "[[:punct:]]", "[[:alnum:]-z]", "[[:xdigit:][:lower:]]", "[[:print:]]", "[[:graph:]]", "[[:blank:]]", "[[:cntrl:]]",
		"[[:none:]]", "[[:alpha:]", "[[:alpha]]", "[:alpha:]", "[[::]]", "[[:]]", "[a-[:digit:]]",
	}
	heads    = []string{"", "", "", "", "!", "!", "/", "#", "!/", "!!", `\!`, `\#`, " ", "**/"}
	tails    = []string{"", "", "", "", "/", "/", "/**", "/*", " ", "  ", "\t", `\ `, `\  `, `\`, "//", "\x00a"}
	ends     = []string{"\n", "\n", "\n", "\r\n", "\r\r\n", "\n\n", " \r\n", "\r \n"}
	elements = []string{
		"a", "b", "ab", "ba", "abc", "aab", "data", "keep", "data.csv", "keep.csv", ".csv", "é", "X", "X7", "7", "-", "#", "!", "#a", "!a", " ", "a ", "a\t", "a\r",
		"*", "**", "?", "[", "]", "[a]", "[", `\`, `\a`, "a-", "}", "~", "..a", ":", "alpha:", "sub", "sub.csv",
	}
)

func pick(r *rand.Rand, of []string) string { return of[r.IntN(len(of))] }

// generated returns n samples of up to six lines, half of them with ignore files in
// folders on the way.
func generated(r *rand.Rand, n int) (list []sample) {
	for range n {
		s := sample{files: map[string]string{"": lines(r)}}
		if r.IntN(2) == 0 {
			s.files["sub"] = lines(r)
		}
		if r.IntN(4) == 0 {
			s.files["sub/sub"] = lines(r)
		}
		for range 60 {
			s.names = append(s.names, generatedName(r))
		}
		list = append(list, s)
	}
	return list
}

func lines(r *rand.Rand) string {
	var text strings.Builder
	if r.IntN(8) == 0 {
		text.WriteString("\ufeff")
	}
	for range 1 + r.IntN(6) {
		text.WriteString(pick(r, heads))
		for range 1 + r.IntN(4) {
			text.WriteString(pick(r, pieces))
		}
		text.WriteString(pick(r, tails))
		text.WriteString(pick(r, ends))
	}
	all := text.String()
	return all[:len(all)-r.IntN(2)] // also without an end of the last line
}

func generatedName(r *rand.Rand) string {
	var name []string
	for range r.IntN(4) {
		dir := pick(r, elements)
		if r.IntN(3) == 0 {
			dir = "sub"
		}
		name = append(name, dir)
	}
	return strings.Join(append(name, pick(r, elements)), "/")
}

// repository is one of git.
type repository struct {
	dir   string
	newer bool // git 2.52 or later
}

func newRepository(t *testing.T) repository {
	t.Helper()
	g := repository{dir: t.TempDir()}
	g.run(t, nil, "init", "-q", "--template=")
	var major, minor int
	if _, err := fmt.Sscanf(string(g.run(t, nil, "version")), "git version %d.%d", &major, &minor); err != nil {
		t.Fatal(err)
	}
	g.newer = major > 2 || major == 2 && minor >= 52
	return g
}

// run runs git without settings of anybody.
func (g repository) run(t *testing.T, input []byte, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Stdin = g.dir, bytes.NewReader(input)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "GIT_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "XDG_CONFIG_HOME="+g.dir)
	out, err := cmd.Output()
	if exit := cmd.ProcessState; err != nil && (exit == nil || exit.ExitCode() != 1) { // 1: none is ignored
		t.Fatalf("git %q: %v", args, err)
	}
	return out
}

// compare asks git and Rules for each name of each sample.
func (g repository) compare(t *testing.T, at string, samples []sample) {
	t.Helper()
	var asked []string
	for i, s := range samples {
		top := fmt.Sprintf("%s/%d", at, i)
		for dir, text := range s.files {
			g.write(t, path.Join(top, dir), text)
		}
		for _, name := range s.names {
			asked = append(asked, top+"/"+name)
		}
	}
	want := g.ignored(t, asked)
	t.Logf("%d of %d names are ignored", len(want), len(asked))
	if len(want) < len(asked)/20 {
		t.Errorf("git ignores only %d of %d names: the samples say little", len(want), len(asked))
	}
	for i, s := range samples {
		top := fmt.Sprintf("%s/%d", at, i)
		rules := New(1 << 30)
		for _, dir := range []string{"", "sub", "sub/sub", "a"} {
			rules.Add(path.Join(top, dir), s.files[dir])
		}
		for _, name := range s.names {
			if s.isFolder(name) || g.newer && s.changed() {
				continue
			}
			part, err := rules.Top(top + "/" + name)
			if got := part != ""; err != nil || got != want[top+"/"+name] {
				t.Errorf("%q is ignored: %t, %v; to git %t, by %q", name, got, err, want[top+"/"+name], s.files)
			}
		}
	}
}

// isFolder reports whether name is a folder, as it has an ignore file.
func (s sample) isFolder(name string) bool {
	for dir := range s.files {
		if name == dir || strings.HasPrefix(dir, name+"/") {
			return true
		}
	}
	return false
}

// changed reports whether git 2.52 and later read a pattern anew: two stars behind a
// literal start.
func (s sample) changed() bool {
	for _, text := range s.files {
		for line := range strings.Lines(text) {
			start := strings.IndexAny(line, special)
			if start > 0 && line[start-1] != '/' && strings.HasPrefix(line[start:], "**") {
				return true
			}
		}
	}
	return false
}

func (g repository) write(t *testing.T, dir, text string) {
	t.Helper()
	dir = filepath.Join(g.dir, filepath.FromSlash(dir))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".gitignore"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// ignored returns the names that git ignores.
func (g repository) ignored(t *testing.T, names []string) map[string]bool {
	t.Helper()
	out := g.run(t, []byte(strings.Join(names, "\x00")+"\x00"), "check-ignore", "--no-index", "--stdin", "-z", "--verbose", "--non-matching")
	fields := strings.Split(string(out), "\x00") // source, line, pattern and name of each
	if len(fields) != 4*len(names)+1 {
		t.Fatalf("git answered %d fields for %d names", len(fields), len(names))
	}
	ignored := map[string]bool{}
	for i := 0; i+4 <= len(fields); i += 4 {
		pattern, name := fields[i+2], fields[i+3]
		if pattern != "" && !strings.HasPrefix(pattern, "!") {
			ignored[name] = true
		}
	}
	return ignored
}
