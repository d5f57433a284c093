package bundle

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
	if b, info := must[[]byte](t)(os.ReadFile(path)), must[os.FileInfo](t)(os.Stat(path)); string(b) != "second" || info.Mode() != 0o644 {
		t.Errorf("the file holds %q with %v, want the second", b, info.Mode())
	}
	checkNames(t, dir, []string{"file"})
	ok(t, errors.Join(RemoveTree(path), RemoveTree(path)))
}
