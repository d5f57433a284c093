package archive

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"strings"
	"testing"

	"slipway/internal/slipway"
)

// followed walks the symlink f as Linux would, and reports whether it stays
// inside the version and needs no more than maxHops symlinks.
func followed(targets map[string]string, f slipway.File) bool {
	at, rest := parent(f.Path), strings.Split(f.Link, "/")
	for hops := 1; len(rest) > 0; {
		el := rest[0]
		rest = rest[1:]
		if el == ".." && at == "" {
			return false
		}
		at = strings.TrimPrefix(path.Join("/", at, el), "/")
		if to, ok := targets[at]; ok && el != ".." && el != "." && el != "" {
			if hops++; hops > MaxHops || strings.HasPrefix(to, "/") {
				return false
			}
			at, rest = parent(at), append(strings.Split(to, "/"), rest...)
		}
	}
	return !strings.HasPrefix(f.Link, "/")
}

// randomLinks returns a version of symlinks and two files.
func randomLinks(r *rand.Rand) []slipway.File {
	names := []string{"a", "b", "c", "d", "e", "f", "g", "x/a", "x/b", "x/c", "x/y/a", "x/y/b", "A"}
	elements := append([]string{"..", "..", ".", "", "x", "y", "gone"}, names...)
	files := []slipway.File{
		{Path: "x/file"},
		{Path: "x/y/file"},
	}
	for _, name := range names[:1+r.IntN(len(names)-1)] {
		target := elements[2+r.IntN(len(elements)-2)]
		for range r.IntN(4) * r.IntN(6) {
			target += "/" + elements[r.IntN(len(elements))]
		}
		if target != "" {
			files = append(files, slipway.File{Path: name, Link: target})
		}
	}
	slipway.SortFiles(files)
	return files
}

// randomChain returns about as many symlinks as Linux follows, each to another
// one, by names in no order. On some ways lie further ones.
func randomChain(r *rand.Rand) []slipway.File {
	n := MaxHops - 6 + r.IntN(10)
	files := []slipway.File{{Path: "via", Link: "x/y/../.."}}
	for i, at := range r.Perm(n) {
		files = append(files, slipway.File{Path: fmt.Sprintf("l%02d", at), Link: "end"})
		if i > 0 {
			files[i].Link = strings.Repeat("via/", r.IntN(40)/37) + fmt.Sprintf("l%02d", at)
		}
	}
	slipway.SortFiles(files)
	return files
}

func TestLinksAreJudgedAlike(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var refused, taken int
	for i := range 5_000 {
		files := randomLinks(r)
		if i%10 == 0 {
			files = randomChain(r)
		}
		targets := map[string]string{}
		for _, f := range files {
			if f.Link != "" {
				targets[f.Path] = f.Link
			}
		}
		want := true
		for _, f := range files {
			want = want && (f.Link == "" || followed(targets, f))
		}
		checked := CheckVersion(files, DefaultLimits())
		if checked != nil && strings.Contains(checked.Error(), "back to a folder") {
			checked = nil // a walk would not end; to follow it does
		}
		manifest := CheckLinks(files)
		if (checked == nil) != want || (manifest == nil) != want {
			t.Fatalf("%+v: Check says %v, CheckLinks %v, want them taken: %t", targets, checked, manifest, want)
		}
		if want {
			taken++
		} else {
			refused++
		}
	}
	if taken < 300 || refused < 300 {
		t.Errorf("%d were taken and %d refused, want many of both", taken, refused)
	}
}

// chain returns n symlinks, each to the next with a target of many elements,
// and many symlinks to the first of them.
func chain(n, elements, many int) []slipway.File {
	var files []slipway.File
	for i := range n {
		target := strings.Repeat("./", elements) + fmt.Sprintf("c%02d", i+1)
		files = append(files, slipway.File{Path: fmt.Sprintf("c%02d", i), Link: target})
	}
	for i := range many {
		files = append(files, slipway.File{Path: fmt.Sprintf("l%06d", i), Link: "c00"})
	}
	return files
}

func TestChainsOfLinks(t *testing.T) {
	for name, tt := range map[string]struct {
		links int
		fine  bool
	}{
		"as many as Linux follows": {MaxHops - 1, true},
		"one more":                 {MaxHops, false},
	} {
		t.Run(name, func(t *testing.T) {
			files := chain(tt.links, 1500, 50_000)
			if err := CheckVersion(files, DefaultLimits()); (err == nil) != tt.fine {
				t.Errorf("CheckVersion: %v, want it fine: %t", err, tt.fine)
			}
			err := CheckLinks(files)
			if (err == nil) != tt.fine {
				t.Errorf("CheckManifest: %v, want it fine: %t", err, tt.fine)
			}
		})
	}
}

func TestLinksOfTooManySteps(t *testing.T) {
	target := "é/" + strings.Repeat("a/", 1500)
	var files []slipway.File
	for i := range 15_000 {
		files = append(files, slipway.File{Path: fmt.Sprintf("l%05d", i), Link: target})
	}
	wantRefusal(t, CheckVersion(files, DefaultLimits()), slipway.TooLarge, "targets of all symlinks", `"l01065"`)

	files = files[:1000] // the same in steps as all that may be
	files = append(files, slipway.File{Path: "é/" + strings.Repeat("a/", 120) + "x"})
	if err := CheckVersion(files, DefaultLimits()); err != nil {
		t.Error(err)
	}
}

func TestLinksOfFoldersBeyondTheLimit(t *testing.T) {
	lim := Limits{Unpacked: 1, Files: 5, Path: 100, Name: 10}
	var files []slipway.File
	for _, name := range []string{"a/b/x", "A/b/y", "a/B/z"} { // folders of one form, but of five names
		files = append(files, slipway.File{Path: name, Link: "x"})
	}
	wantRefusal(t, CheckVersion(files, lim), slipway.TooLarge, "5 files and folders")
}

func TestCheckingLinksEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := checkVersion(ctx, chain(3, 1, 3), nil, DefaultLimits(), ""); !errors.Is(err, context.Canceled) {
		t.Errorf("check: %v, want that it was cancelled", err)
	}
}
