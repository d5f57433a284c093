package mount

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"slipway/internal/bundle"
	"slipway/internal/durable"
	"slipway/internal/slipway"
)

// A disk without inodes is refused as such before anything is written, however
// many bytes are free.
func TestInodesUsedUp(t *testing.T) {
	dir := t.TempDir()
	if os.Geteuid() != 0 {
		t.Skip("a file system of its own can be mounted by root alone")
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=33m,nr_inodes=130"); err != nil {
		t.Skipf("no file system can be mounted here: %v", err)
	}
	defer func() { ok(t, unix.Unmount(dir, unix.MNT_DETACH)) }()
	s := must[*bundle.Store](t)(bundle.Open(filepath.Join(t.TempDir(), "data")))
	m := must[*Mount](t)(Open(filepath.Join(dir, "mount")))
	defer func() { ok(t, m.Close()) }()
	m.KeepFree(1 << 20)
	files := map[string]string{}
	for i := range 30 {
		files[fmt.Sprintf("a%d.py", i)] = fmt.Sprint(i)
	}
	first := manifestOf(t, s, version(1), files)
	ok(t, m.Mount(t.Context(), version(1), sourceOf(s).with(first), nil))
	files["one_more.py"] = "more"
	ok(t, m.Mount(t.Context(), version(2), sourceOf(s).with(manifestOf(t, s, version(2), files)), nil)) // by hard links
	for i := range 30 {
		files[fmt.Sprintf("b%d.py", i)] = fmt.Sprint("b", i)
	}
	err := m.Mount(t.Context(), version(3), sourceOf(s).with(manifestOf(t, s, version(3), files)), nil)
	if kind, text := slipway.Explain(err); kind != slipway.NoSpace || !strings.Contains(text, "more files and folders (inodes)") {
		t.Errorf("mount: %v, want that inodes lack", err)
	}
	left := must[[]string](t)(durable.Leftovers(m.versions()))
	if v, _, err := m.Current(); err != nil || v != version(2) || len(left) > 0 {
		t.Errorf("current is %s, %v, left over %q", v, err, left)
	}
	if free, limited := durable.FreeFiles(dir); !limited || free < 10 {
		t.Errorf("%d files more, %v", free, limited)
	}
	for i := 0; ; i++ {
		f, err := os.Create(filepath.Join(dir, fmt.Sprint("ballast", i)))
		if errors.Is(err, unix.ENOSPC) {
			break
		}
		ok(t, errors.Join(err, f.Close()))
	}
	if free, limited := durable.FreeFiles(dir); !limited || free != 0 {
		t.Errorf("%d files more, %v, want none", free, limited)
	}
	err = m.Mount(t.Context(), version(3), sourceOf(s).with(manifestOf(t, s, version(3), files)), nil)
	if kind, text := slipway.Explain(err); kind != slipway.NoSpace || !strings.Contains(text, "its inodes are used up") {
		t.Errorf("mount: %v, want that inodes are used up", err)
	}
}
