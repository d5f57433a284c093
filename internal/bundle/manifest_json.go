package bundle

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"slipway/internal/slipway"
)

// Listed is a file in a list: in a manifest, or in the record of a mount, with
// the time on disk.
type Listed struct {
	slipway.File
	MTime int64 `json:"mtime,omitempty"` // Unix seconds; 0 in a manifest, and for a symlink
}

// ListWriter writes a version and its files as one JSON object with a line for
// each file: the text of a large version is never in memory as a whole.
type ListWriter struct {
	w       io.Writer
	waiting []byte // not written yet
	written int64
	files   int
}

// NewListWriter begins a list of v.
func NewListWriter(w io.Writer, v slipway.Version) *ListWriter {
	return &ListWriter{w: w, waiting: fmt.Appendf(nil, "{\"version\":%q,\"files\":[\n", v)}
}

// Add writes f, and returns the offset in bytes for ListedAt.
func (l *ListWriter) Add(f Listed) (at int64, err error) {
	b := l.waiting
	if l.files > 0 {
		b = append(b, ',')
	}
	l.files++
	at = l.written + int64(len(b))
	b = appendNumber(appendFile(append(b, '{'), f.File), `,"mtime":`, f.MTime)
	if l.waiting = append(b, "}\n"...); len(l.waiting) < writeMin {
		return at, nil
	}
	return at, l.flush()
}

// End ends the list.
func (l *ListWriter) End() error {
	l.waiting = append(l.waiting, listEnd...)
	return l.flush()
}

func (l *ListWriter) flush() error {
	n, err := l.w.Write(l.waiting)
	l.written += int64(n)
	l.waiting = l.waiting[:0]
	return err
}

const listEnd = "]}\n"

// writeList writes a list of files.
func writeList(w io.Writer, v slipway.Version, files []slipway.File) error {
	l := NewListWriter(w, v)
	for _, f := range files {
		if _, err := l.Add(Listed{File: f}); err != nil {
			return err
		}
	}
	return l.End()
}

// writeMin is the size of a write in bytes.
const writeMin = 32 << 10

// appendFile appends the JSON members of slipway.File by its tags, without the
// braces. Every deploy writes the list of all files several times: for 100,000
// files appendFile needs 38 ms, encoding/json 147 ms, in a manifest of 108 ms
// with compression (BenchmarkLists).
func appendFile(b []byte, f slipway.File) []byte {
	b = appendText(append(b, `"path":`...), f.Path)
	b = appendMember(b, `,"sha256":`, f.SHA256)
	b = appendNumber(b, `,"size":`, f.Size)
	b = appendFlag(b, `,"exec":true`, f.Exec)
	b = appendFlag(b, `,"noMode":true`, f.NoMode)
	b = appendMember(b, `,"link":`, f.Link)
	b = appendFlag(b, `,"dag":true`, f.DAG)
	b = appendFlag(b, `,"asset":true`, f.Asset)
	b = appendFlag(b, `,"lfs":true`, f.LFS)
	b = appendFlag(b, `,"bidi":true`, f.Bidi)
	b = appendNumber(b, `,"marks":`, int64(f.Marks))
	b = appendMember(b, `,"pack":`, f.Pack)
	b = appendNumber(b, `,"offset":`, f.Offset)
	return appendNumber(b, `,"length":`, f.Length)
}

func appendMember(b []byte, key, value string) []byte {
	if value == "" {
		return b
	}
	return appendText(append(b, key...), value)
}

func appendFlag(b []byte, member string, set bool) []byte {
	if !set {
		return b
	}
	return append(b, member...)
}

// appendNumber appends a number with its key, and nothing for 0.
func appendNumber(b []byte, key string, n int64) []byte {
	if n == 0 {
		return b
	}
	return strconv.AppendInt(append(b, key...), n, 10)
}

// appendText appends s as a JSON string.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(s) // a string always has a form
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// errLongValue is longer than any path, target or object of a list.
var errLongValue = errors.New("a value is too long")

// valueMax is how many bytes one value of a list may have.
const valueMax = 1 << 20

// listDecoder decodes a list in bounded memory, for any input.
type listDecoder struct {
	*json.Decoder
	r    io.Reader
	read int64 // bytes from r
}

func newListDecoder(r io.Reader) *listDecoder {
	d := &listDecoder{r: r}
	d.Decoder = json.NewDecoder(d)
	return d
}

// Read gives the decoder at most valueMax bytes beyond the last value.
func (d *listDecoder) Read(p []byte) (int, error) {
	most := d.InputOffset() + valueMax - d.read
	if most <= 0 {
		return 0, errLongValue
	}
	n, err := d.r.Read(p[:min(int64(len(p)), most)])
	d.read += int64(n)
	return n, err
}

func expect(dec *listDecoder, want json.Delim) error {
	got, err := dec.Token()
	if err == nil && got != want {
		err = fmt.Errorf("there is %v instead of %v", got, want)
	}
	return notEOF(err)
}
