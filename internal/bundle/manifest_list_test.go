package bundle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"slipway/internal/slipway"
)

// randomListed returns a file of any members.
func randomListed(r *rand.Rand, i int) Listed {
	names := []string{"a.py", "größe.py", "a b", `quo"te`, `back\slash`, "<tag>", "tab\t", "日本"}
	f := Listed{File: slipway.File{Path: fmt.Sprintf("%04d/%s", i, names[r.IntN(len(names))])}}
	if r.IntN(4) == 0 {
		f.Link = names[r.IntN(len(names))]
		return f
	}
	yes := func() bool { return r.IntN(3) == 0 }
	f.SHA256, f.Size, f.Exec, f.NoMode = sha(fmt.Sprint(i)), r.Int64N(1<<40)*r.Int64N(2), yes(), yes()
	f.DAG, f.Asset, f.LFS, f.Bidi, f.Marks = yes(), yes(), yes(), yes(), uint8(r.IntN(2))
	f.Place = slipway.Place{Pack: sha(fmt.Sprint(r.IntN(2))), Offset: r.Int64() * r.Int64N(2), Length: r.Int64N(1 << 20)}
	f.MTime = r.Int64N(1<<40) * r.Int64N(2)
	return f
}

func listOf(t *testing.T, r io.Reader) (v slipway.Version, files []Listed, err error) {
	t.Helper()
	for l := NewListReader(r); ; {
		f, err := l.Next()
		if errors.Is(err, io.EOF) {
			return l.Version(), files, nil
		}
		if err != nil {
			if _, again := l.Next(); !errors.Is(again, err) {
				t.Errorf("after %v: %v", err, again)
			}
			return "", nil, err
		}
		files = append(files, f)
	}
}

// Lists are read as written, in the layout of lines and in any other, and each
// file again at its offset.
func TestListsAreReadAsWritten(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		var want []Listed
		for i := range r.IntN(40) {
			want = append(want, randomListed(r, i))
		}
		var text bytes.Buffer
		w := NewListWriter(&text, version(1))
		at := make([]int64, len(want))
		for i, f := range want {
			at[i] = must[int64](t)(w.Add(f))
		}
		ok(t, w.End())
		var indented, reversed bytes.Buffer
		ok(t, json.Indent(&indented, text.Bytes(), "", " "))
		files, _ := json.Marshal(want)
		fmt.Fprintf(&reversed, `{"later":{"files":[1]},"files":%s,"version":%q}`, strings.Replace(string(files), "null", "[]", 1), version(1))
		for name, list := range map[string]string{"lines": text.String(), "indented": indented.String(), "the version last": reversed.String()} {
			v, got, err := listOf(t, strings.NewReader(list))
			if err != nil || v != version(1) || !slices.Equal(got, want) {
				t.Fatalf("%s: read %s, %+v, %v of\n%s", name, v, got, err, list)
			}
		}
		for i, f := range want {
			if got := must[Listed](t)(ListedAt(bytes.NewReader(text.Bytes()), at[i])); got != f {
				t.Errorf("at %d: %+v, want %+v", at[i], got, f)
			}
		}
	}
}

// Each member of a file is read without encoding/json: the lists of a mount are long.
func TestMembersAreReadByTheCursor(t *testing.T) {
	every := slipway.File{
		Path: "a.py", SHA256: sha("a"), Size: 1, Exec: true, NoMode: true, Link: "b", DAG: true, Asset: true, LFS: true, Bidi: true, Marks: 1,
		Place: slipway.Place{Pack: sha("pack"), Offset: 1, Length: 1},
	}
	for i, v := 0, reflect.ValueOf(every); i < v.NumField(); i++ {
		if v.Field(i).IsZero() {
			t.Errorf("%s has no value here", v.Type().Field(i).Name)
		}
	}
	line := append(appendFile([]byte("{"), every), '}')
	c, got := cursor{rest: line}, Listed{}
	if !c.written(&got, "") || got.File != every {
		t.Errorf("read %+v of %s", got, line)
	}
}

// A list that was cut, or has more behind, is an error, wherever.
func TestListsThatAreNotWhole(t *testing.T) {
	var text, indented bytes.Buffer
	place := slipway.Place{Pack: sha("pack"), Length: 9}
	ok(t, writeList(&text, version(1), []slipway.File{{Path: "a", SHA256: sha("a"), Place: place}, {Path: "b", Link: "ü"}, {Path: "c", SHA256: sha("a"), Size: 7, Place: place}}))
	ok(t, json.Indent(&indented, text.Bytes(), "", " "))
	for _, list := range []string{text.String(), strings.TrimSpace(indented.String())} {
		for n := range len(list) {
			if _, files, err := listOf(t, strings.NewReader(list[:n])); err == nil && n < len(list)-1 {
				t.Errorf("%d files were read of %q", len(files), list[:n])
			}
		}
		for name, spoiled := range map[string]string{
			"more behind":    list + "{}",
			"two lists":      strings.Replace(list, `{"version"`, `{"files":[],"version"`, 1),
			"a lost comma":   strings.Replace(list, ",{", "{", 1),
			"a leading zero": strings.Replace(list, `"size":7`, `"size":07`, 1),
			"a huge size":    strings.Replace(list, `"size":7`, `"size":9223372036854775808`, 1),
			"half an escape": strings.Replace(list, "ü", `\u`, 1),
			"a long line":    strings.Replace(list, "ü", strings.Repeat("u", valueMax), 1),
		} {
			if spoiled == list {
				continue // the member is written in another way
			}
			if _, files, err := listOf(t, strings.NewReader(spoiled)); err == nil {
				t.Errorf("%s: %d files were read", name, len(files))
			}
		}
	}
}

// All that a list costs is the file at hand.
func TestChecksFileByFile(t *testing.T) {
	var c Checker
	for i := range 1000 {
		ok(t, c.Add(slipway.File{Path: fmt.Sprintf("%03d/a", i), SHA256: sha("a"), Place: slipway.Place{Pack: sha("p"), Length: 1}}))
	}
	ok(t, c.End(version(1)))
	if len(c.begins) > 1 || len(c.links) > 0 {
		t.Errorf("kept %d paths and %d links", len(c.begins), len(c.links))
	}
}
