package archive

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"slipway/internal/slipway"
)

func TestCheck(t *testing.T) {
	files := func(names ...string) (list []slipway.File) {
		for _, name := range names {
			path, target, _ := strings.Cut(name, "->")
			list = append(list, slipway.File{Path: path, Link: target, Size: 10})
		}
		return list
	}
	var chain []string
	for i := range MaxHops + 1 {
		chain = append(chain, fmt.Sprintf("l%02d->l%02d", i, i+1))
	}
	var based []string // each leads to the one before
	for i := range MaxHops + 1 {
		based = append(based, fmt.Sprintf("l%02d->l%02d", i, i-1))
	}
	small := Limits{Unpacked: 25, Files: 3, Path: 10, Name: 5}
	for name, tt := range map[string]struct {
		files []slipway.File
		lim   Limits
		kind  slipway.Kind
		want  string // part of the refusal, "" if there is none
	}{
		"fine":            {files: files("a.py", "b/c.py", "b/l->c.py", "m->b", "n->gone")},
		"empty":           {},
		"chain":           {files: files(chain[1:]...)},
		"long chain":      {files: files(chain...), kind: slipway.Invalid, want: `"l40"`},
		"base first":      {files: files(based...), kind: slipway.Invalid, want: `"l40"`},
		"one by one":      {files: files("l->"+strings.Repeat("m/", MaxHops-1), "m->.."), kind: slipway.Invalid, want: `"m"`},
		"many on one way": {files: files("a/l->"+strings.Repeat("m/", MaxHops), "a/m->."), kind: slipway.Invalid, want: `"a/l"`},
		"through nothing": {files: files("l->gone/a/../../m", "m->b/c/..", "n->l/../..", "b/c"), kind: slipway.Invalid, want: `"n"`},
		"shared folder":   {files: files("a/x", "b/l->../a", "c/l->../a")},
		"case":            {files: files("a.py", "A.py"), kind: slipway.Invalid, want: `"a.py" and "A.py"`},
		"file and folder": {files: files("a", "a/b"), kind: slipway.Invalid, want: `"a/b"`},
		"not clean":       {files: files("./a"), kind: slipway.Invalid, want: `"./a"`},
		"dots":            {files: files("../a"), kind: slipway.Invalid, want: `"../a"`},
		"no name":         {files: files(""), kind: slipway.Invalid, want: "(blank)"},
		"negative size":   {files: []slipway.File{{Path: "a", Size: -1}}, kind: slipway.Invalid, want: `"a"`},
		"link out":        {files: files("a/l->../../x"), kind: slipway.Invalid, want: `"a/l"`},
		"circle":          {files: files("a/l->../a"), kind: slipway.Invalid, want: `"a/l"`},
		"through a link":  {files: files("a/x", "l->a", "l/y"), kind: slipway.Invalid, want: `"l/y"`},
		"at the limits":   {files: files("a", "b/c"), lim: small},
		"size":            {files: files("a", "b", "c"), lim: small, kind: slipway.TooLarge, want: `"c"`},
		"number":          {files: files("a", "b/c/d"), lim: small, kind: slipway.TooLarge, want: "3 files"},
		"path":            {files: files("a/b/c/d/e/f"), lim: small, kind: slipway.TooLarge, want: `"a/b/c/d/e/f"`},
		"name":            {files: files("abcdef"), lim: small, kind: slipway.TooLarge, want: `"abcdef"`},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.lim == (Limits{}) {
				tt.lim = DefaultLimits()
			}
			err := CheckVersion(tt.files, tt.lim)
			if tt.want == "" && err == nil {
				return
			}
			if tt.want == "" {
				t.Fatal(err)
			}
			wantRefusal(t, err, tt.kind, tt.want)
		})
	}
}

func TestQuoteShortensLongNames(t *testing.T) {
	got := Quote(strings.Repeat("é", 1000) + "end.py")
	if len(got) > 300 || !strings.HasPrefix(got, `"éé`) || !strings.HasSuffix(got, `end.py"`) || !strings.Contains(got, "…") {
		t.Errorf("quoted as %s", got)
	}
}

func TestComposed(t *testing.T) {
	files := []slipway.File{{Path: "a.py"}, {Path: "gro\u0308\u00dfe.py", SHA256: "1"}, {Path: "gr\u00f6\u00dfe.py", SHA256: "2"}, {Path: "l", Link: "o\u0308"}, {Path: "z"}}
	before := slices.Clone(files)
	var got []string
	for _, f := range Composed(files) {
		got = append(got, f.Path+f.Link)
	}
	if want := []string{"a.py", "gr\u00f6\u00dfe.py", "l\u00f6", "z"}; !slices.Equal(got, want) || !slices.Equal(files, before) {
		t.Errorf("composed are %q, want %q", got, want)
	}
}

func TestComposedChanges(t *testing.T) {
	composed, other := "gr\u00f6\u00dfe.py", "gro\u0308\u00dfe.py"
	file := func(path string) slipway.File { return slipway.File{Path: path, SHA256: path} }
	for name, changes := range map[string][]slipway.Change{
		"to NFC": {{Op: slipway.Removed, Path: other, Old: file(other)}, {Op: slipway.Added, Path: composed, New: file(composed)}},
		"to NFD": {{Op: slipway.Added, Path: other, New: file(other)}, {Op: slipway.Removed, Path: composed, Old: file(composed)}},
	} {
		got := slipway.SumChanges([][]slipway.Change{ComposedChanges(changes)})
		if len(got) != 1 || got[0].Op != slipway.Changed || got[0].Path != composed || got[0].Old.SHA256 == got[0].New.SHA256 {
			t.Errorf("%s: %+v", name, got)
		}
	}
	plain := []slipway.Change{{Op: slipway.Added, Path: "a.py", New: file("a.py")}}
	if got := ComposedChanges(plain); len(got) != 1 || got[0] != plain[0] {
		t.Errorf("plain: %+v", got)
	}
}
