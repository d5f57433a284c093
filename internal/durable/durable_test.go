package durable

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	broken := errors.New("broken")
	for _, tt := range []struct {
		text string
		mode os.FileMode
		fail error
	}{{"first", 0o600, nil}, {"second", 0o644, nil}, {"half", 0o600, broken}} {
		err := WriteFile(path, tt.mode, func(w io.Writer) error {
			_, err := io.WriteString(w, tt.text)
			return errors.Join(err, tt.fail)
		})
		if !errors.Is(err, tt.fail) {
			t.Errorf("%s: %v, want %v", tt.text, err, tt.fail)
		}
	}
	b, readErr := os.ReadFile(path)
	info, statErr := os.Stat(path)
	if err := errors.Join(readErr, statErr); err != nil || string(b) != "second" || info.Mode() != 0o644 {
		t.Fatalf("the file holds %q (%v), want the second", b, err)
	}
	if all, err := os.ReadDir(dir); err != nil || len(all) != 1 {
		t.Errorf("the folder holds %v (%v), want the file alone", all, err)
	}
	if err := errors.Join(RemoveTree(path), RemoveTree(path)); err != nil {
		t.Error(err)
	}
}

func TestExchange(t *testing.T) {
	for name, swap := range map[string]func(a, b string) error{"at once": Exchange, "in steps": exchangeInSteps} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := errors.Join(os.MkdirAll(dir+"/a/from-a", 0o755), os.MkdirAll(dir+"/b/from-b", 0o755), swap(dir+"/a", dir+"/b")); err != nil {
				t.Fatal(err)
			}
			for _, path := range []string{"/a/from-b", "/b/from-a"} {
				if _, err := os.Stat(dir + path); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
