package diff_test

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/deploy/deploytest"
	"slipway/internal/diff"
	"slipway/internal/slipway"
)

// repository writes files as a project in a repository of its own, as archive
// takes them.
func repository(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, "dags", name)
		mode := fs.FileMode(0o644)
		if strings.HasPrefix(text, "#!") {
			mode = 0o755
		}
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if to, link := strings.CutPrefix(text, "-> "); err == nil && link {
			err = os.Symlink(to, path)
		} else if err == nil {
			err = os.WriteFile(path, []byte(text), mode)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	git(t, dir, "init", "-q")
	git(t, dir, "-c", "core.autocrlf=false", "add", ".")
	return dir
}

func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// project returns the files of a repository, as repository takes them.
func project(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	root := filepath.Join(dir, "dags")
	err := filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		path, _ := filepath.Rel(root, name)
		if e.Type()&fs.ModeSymlink != 0 {
			to, err := os.Readlink(name)
			files[path] = "-> " + to
			return err
		}
		b, err := os.ReadFile(name)
		files[path] = string(b)
		if info, err := e.Info(); err == nil && (info.Mode()&0o111 != 0) != strings.HasPrefix(string(b), "#!") {
			files[path] += " with mode " + info.Mode().String()
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return files
}

// A patch makes of the repository what was deployed, whatever the files are.
func TestPatchAppliesWithGit(t *testing.T) {
	long := strings.Repeat("a line\n", 400)
	was := map[string]string{
		"changed.py": deploytest.DAG("a") + long + "end\n", "crlf.py": "a\r\nb\r\nc\r\n", "mixed.py": "a\r\nb\nc\r\n", "no_newline.py": "x = 1", "gets_newline.py": "x = 1",
		"loses_newline.py": "x = 1\n", "removed.py": deploytest.DAG("r"), "removed_empty": "", "becomes_run.sh": "echo\n", "stays_run.sh": "#!/bin/sh\n",
		"link": "-> changed.py", "becomes_link": "text\n", "was_link": "-> crlf.py", "empty": "", "becomes_empty": "x\n",
		"with space.py": "a\n", `quo"te.py`: "a\n", "Ünïcode.py": "a\n", "same.py": deploytest.DAG("s"), "sub/dir/deep.sql": "SELECT 1;\n", "--- looks.sql": "-- a\n++ b\n",
		"tail space ": "a\n", "hid\u200bden.py": "a\n", "fil\u3164le\"r .py": "a\n", "go\u034fne": "x\n",
	}
	is := map[string]string{
		"changed.py": deploytest.DAG("b") + long + "the end\n", "crlf.py": "a\r\nB\r\nc\r\n", "mixed.py": "a\r\nb\nC\r\n", "no_newline.py": "x = 2", "gets_newline.py": "x = 1\n",
		"loses_newline.py": "x = 1", "added/new.py": deploytest.DAG("n"), "added_empty": "", "added_no_newline": "a\nb", "becomes_run.sh": "#!/bin/sh\necho\n", "stays_run.sh": "#!/bin/sh\nls\n",
		"link": "-> crlf.py", "becomes_link": "-> changed.py", "was_link": "text\n", "empty": "no more\n", "becomes_empty": "", "new_link": "-> same.py",
		"with space.py": "b\n", `quo"te.py`: "b\n", "Ünïcode.py": "b\n", "same.py": deploytest.DAG("s"), "sub/dir/deep.sql": "SELECT 2;\n", "--- looks.sql": "-- b\n+++ b\n--- c\n",
		"tail space ": "b\n", "hid\u200bden.py": "b\u200b\n", "fil\u3164le\"r .py": "b\n", "new\ufe0f": "x\r\n",
	}
	a := deploytest.Running(t)
	a.Deployed(t, slipway.ReplaceAll, was)
	w := a.Staged(t, a.Eve, slipway.ReplaceAll, is)
	for name, state := range map[string]func(){
		"staged": func() {}, "live": func() { a.Confirm(t, w.Number, a.Eve); a.Await(t, w.Number, slipway.Deployed) },
	} {
		t.Run(name, func(t *testing.T) {
			state()
			patch, err := a.Engine.Patch(t.Context(), a.Sales.ID, w.Number, a.Mia)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(patch)) {
				header := strings.HasPrefix(line, "--- ") || strings.HasPrefix(line, "+++ ") || !strings.ContainsAny(line[:1], " +-")
				if header && slipway.Visible(line) != line {
					t.Errorf("hidden characters in %q", line)
				}
			}
			dir := repository(t, was)
			path := filepath.Join(t.TempDir(), "fix.patch")
			if err := os.WriteFile(path, patch, 0o600); err != nil {
				t.Fatal(err)
			}
			git(t, dir, "apply", path)
			if diff := cmp.Diff(is, project(t, dir)); diff != "" {
				t.Errorf("the patch makes something else (-want +got):\n%s\n%s", diff, patch)
			}
		})
	}
}

func TestPatchIsLimited(t *testing.T) {
	a := deploytest.Running(t)
	files := map[string]string{"huge.txt": strings.Repeat("x", 1<<20+1), "a.py": deploytest.DAG("a")}
	one := a.Deployed(t, slipway.ReplaceAll, files)
	patch, err := a.Engine.Patch(t.Context(), a.Sales.ID, one.Number, a.Mia)
	if err != nil || !strings.Contains(string(patch), `too large: "dags/huge.txt"`) {
		t.Errorf("%v\n%.500s", err, patch)
	}
	many := map[string]string{"a.py": deploytest.DAG("a")}
	for i := range 33 {
		many[fmt.Sprintf("file%d", i)] = strings.Repeat(string(rune('A'+i)), 1<<20)
	}
	two := a.Deployed(t, slipway.AddFiles, many)
	_, err = a.Engine.Patch(t.Context(), a.Sales.ID, two.Number, a.Mia)
	deploytest.WantKind(t, err, slipway.TooLarge, "too much for a patch")
}

// What the eye does not see in a patch stands above it.
func TestPatchRemarks(t *testing.T) {
	for name, tt := range map[string]struct {
		op            slipway.Op
		before, after string
		want          string
	}{
		"nothing":        {slipway.Changed, "a\n", "b\n", "\n"},
		"line ends":      {slipway.Changed, "a\n", "a\r\n", "In \"dags/a.py\": Line endings: changed from LF to CRLF\n\n"},
		"BOM, added":     {slipway.Added, "", "\ufeffa\n", "In \"dags/a.py\": Encoding: UTF-8 with BOM\n\n"},
		"emptied":        {slipway.Changed, "\ufeffa\n", "", "\n"},
		"bidi":           {slipway.Changed, "a\n", "a\nb\u202e\n", "In \"dags/a.py\": added lines hold bidirectional controls, which can make code look like other code\n\n"},
		"bidi as it was": {slipway.Changed, "a\nb\u202e\n", "c\nb\u202e\n", "\n"},
		"bidi removed":   {slipway.Removed, "b\u202e\r\n", "", "\n"},
	} {
		var p diff.Patch
		if err := p.Add(slipway.Change{Op: tt.op, Path: "a.py"}, []byte(tt.before), []byte(tt.after)); err != nil {
			t.Fatal(err)
		}
		head, _, _ := strings.Cut(string(p.Bytes("Title")), "diff --git")
		if head != "Title\n"+tt.want {
			t.Errorf("%s: %q, want %q", name, head, "Title\n"+tt.want)
		}
	}
}

// A change of the mode alone needs no content: large files and data have one in a patch.
func TestPatchOfModes(t *testing.T) {
	files := map[string]string{"big.bin": strings.Repeat("x", diff.MaxSize+1), "data.bin": "\x00\x01", "run.sh": "#!/bin/sh\n"}
	dir := repository(t, files)
	var p diff.Patch
	for _, path := range slices.Sorted(maps.Keys(files)) {
		old := slipway.File{Path: path, SHA256: "1", Size: int64(len(files[path])), Exec: path == "run.sh"}
		next := old
		next.Exec = !old.Exec
		c := slipway.Change{Op: slipway.Changed, Path: path, Old: old, New: next}
		if ok, err := p.Reserve(c); !ok || err != nil {
			t.Fatal(path, ok, err)
		}
		if err := p.Add(c, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "fix.patch")
	if err := os.WriteFile(path, p.Bytes("Title"), 0o600); err != nil {
		t.Fatal(err)
	}
	git(t, dir, "apply", path)
	for name := range files {
		info, err := os.Stat(filepath.Join(dir, "dags", name))
		if err != nil || info.Mode()&0o111 != 0 == (name == "run.sh") {
			t.Errorf("%s: %v, %v\n%s", name, info.Mode(), err, p.Bytes("Title"))
		}
	}
}
