package bundle

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"

	"slipway/internal/archive"
	"slipway/internal/slipway"
)

// ListReader reads a list file by file: the output of ListWriter by lines, and
// the same JSON in any other layout.
type ListReader struct {
	in      *bufio.Reader
	dec     *listDecoder // for another layout
	version slipway.Version
	files   int
	begun   bool
	listed  bool  // the member files has begun
	inFiles bool  // in the middle of files
	end     error // of the reading, io.EOF after the last file
	pack    string
}

const (
	lineMax = 64 << 10 // bytes of a line; the longest path and target need 49 KiB
	headMax = 128      // bytes before the first file
)

// NewListReader returns a reader of the list in r.
func NewListReader(r io.Reader) *ListReader {
	return &ListReader{in: bufio.NewReaderSize(io.LimitReader(r, manifestMax), lineMax)}
}

// Version returns the version of the list, known after Next has returned io.EOF.
func (l *ListReader) Version() slipway.Version { return l.version }

// Next returns the next file, and io.EOF after the end of a whole list. Data after
// the end is an error.
func (l *ListReader) Next() (Listed, error) {
	if l.end != nil {
		return Listed{}, l.end
	}
	var f Listed
	err := l.begin()
	switch {
	case err != nil:
	case l.dec == nil:
		f, err = l.line()
	default:
		f, err = l.value()
	}
	if err != nil {
		f, l.end = Listed{}, err
	}
	return f, err
}

// begin reads the beginning of the list, and finds out the layout.
func (l *ListReader) begin() error {
	if l.begun {
		return nil
	}
	l.begun = true
	head, _ := l.in.Peek(headMax) // shorter in an empty list; an error comes again
	c := cursor{rest: head}
	if v := c.text(`{"version":"`); c.skip(`,"files":[` + "\n") {
		l.version = slipway.Version(v)
		_, err := l.in.Discard(len(head) - len(c.rest))
		return err
	}
	l.dec = newListDecoder(l.in)
	return expect(l.dec, json.Delim('{'))
}

// line reads a line of the output of ListWriter.
func (l *ListReader) line() (f Listed, err error) {
	line, err := l.in.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return f, errLongValue
	case errors.Is(err, io.EOF):
		return f, io.ErrUnexpectedEOF
	case err != nil:
		return f, err
	case string(line) == listEnd:
		if _, err := l.in.ReadByte(); err == nil {
			return f, errTrailing
		} else if !errors.Is(err, io.EOF) {
			return f, err
		}
		return f, io.EOF
	}
	if l.files > 0 {
		var ok bool
		if line, ok = bytes.CutPrefix(line, []byte(",")); !ok {
			return f, errors.New("a comma is missing")
		}
	}
	if err := l.count(); err != nil {
		return f, err
	}
	f, err = parseListed(line, l.pack)
	l.pack = f.Pack
	return f, err
}

// errTrailing is the error of a list with data behind.
var errTrailing = errors.New("there is data after the end")

func (l *ListReader) count() error {
	if l.files == archive.MaxFiles {
		return archive.ErrTooManyFiles
	}
	l.files++
	return nil
}

// value reads a file in any layout.
func (l *ListReader) value() (f Listed, err error) {
	for !l.inFiles || !l.dec.More() {
		if err := l.member(); err != nil {
			return f, err
		}
	}
	if err := l.count(); err != nil {
		return f, err
	}
	err = notEOF(l.dec.Decode(&f))
	return f, err
}

// member ends the member files, begins it, or reads another one; io.EOF after the
// last.
func (l *ListReader) member() error {
	if l.inFiles {
		l.inFiles = false
		return expect(l.dec, json.Delim(']'))
	}
	if !l.dec.More() {
		if err := expect(l.dec, json.Delim('}')); err != nil {
			return err
		}
		if _, err := l.dec.Token(); !errors.Is(err, io.EOF) {
			return errTrailing
		}
		return io.EOF
	}
	key, err := l.dec.Token()
	if err != nil {
		return notEOF(err)
	}
	switch key {
	case "version":
		return notEOF(l.dec.Decode(&l.version))
	case "files":
		if l.listed {
			return errors.New("there are two lists of files")
		}
		l.listed, l.inFiles = true, true
		return expect(l.dec, json.Delim('['))
	}
	return notEOF(l.dec.Decode(new(json.RawMessage))) // of a later release
}

// notEOF makes the end of the data within a list an error of its own.
func notEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// ListedAt reads the file at an offset that ListWriter.Add has returned.
func ListedAt(r io.ReaderAt, at int64) (Listed, error) {
	var small [1 << 10]byte
	for b := small[:]; ; b = make([]byte, lineMax) {
		n, err := r.ReadAt(b, at)
		if end := bytes.IndexByte(b[:n], '\n'); end >= 0 {
			return parseListed(b[:end], "")
		}
		switch {
		case err != nil:
			return Listed{}, notEOF(err)
		case n == lineMax:
			return Listed{}, errLongValue
		}
	}
}

// parseListed reads a file as JSON. A pack of the name pack is not copied. The text
// of ListWriter is read without encoding/json, as a mount reads two whole lists
// (BenchmarkLists compares).
func parseListed(line []byte, pack string) (f Listed, err error) {
	c := cursor{rest: line}
	if c.written(&f, pack) {
		return f, nil
	}
	f = Listed{}
	if err := json.Unmarshal(line, &f); err != nil {
		return Listed{}, fmt.Errorf("read a file of the list: %w", err)
	}
	return f, nil
}

// cursor reads JSON in the layout of appendFile. What is written otherwise, as a
// text with escapes or beyond ASCII, makes bad true.
type cursor struct {
	rest []byte
	bad  bool
}

// written reads f as written by ListWriter, and reports false for anything else.
func (c *cursor) written(f *Listed, pack string) bool {
	f.Path = string(c.text(`{"path":"`))
	f.SHA256 = string(c.text(`,"sha256":"`))
	f.Size = c.number(`,"size":`)
	f.Exec = c.skip(`,"exec":true`)
	f.NoMode = c.skip(`,"noMode":true`)
	f.Link = string(c.text(`,"link":"`))
	f.DAG = c.skip(`,"dag":true`)
	f.Asset = c.skip(`,"asset":true`)
	f.LFS = c.skip(`,"lfs":true`)
	f.Bidi = c.skip(`,"bidi":true`)
	marks := c.number(`,"marks":`)
	f.Marks = uint8(marks)
	c.bad = c.bad || marks > math.MaxUint8
	if read := c.text(`,"pack":"`); string(read) == pack {
		f.Pack = pack
	} else {
		f.Pack = string(read)
	}
	f.Offset = c.number(`,"offset":`)
	f.Length = c.number(`,"length":`)
	f.MTime = c.number(`,"mtime":`)
	return c.skip("}") && !c.bad && len(bytes.TrimRight(c.rest, "\n")) == 0
}

// skip skips text, and reports false if something else is next.
func (c *cursor) skip(text string) bool {
	if len(c.rest) < len(text) || string(c.rest[:len(text)]) != text {
		return false
	}
	c.rest = c.rest[len(text):]
	return true
}

// text reads a member that begins with key; nil for another member.
func (c *cursor) text(key string) []byte {
	if !c.skip(key) {
		return nil
	}
	for i, b := range c.rest {
		if b == '"' {
			value := c.rest[:i]
			c.rest = c.rest[i+1:]
			return value
		}
		if b < ' ' || b > '~' || b == '\\' {
			break
		}
	}
	c.bad = true
	return nil
}

// number reads a member that begins with key; 0 for another member.
func (c *cursor) number(key string) (n int64) {
	if !c.skip(key) {
		return 0
	}
	digits := 0
	for digits < len(c.rest) && c.rest[digits] >= '0' && c.rest[digits] <= '9' && digits < 18 {
		n = n*10 + int64(c.rest[digits]-'0')
		digits++
	}
	c.bad = c.bad || digits == 0 || digits > 1 && c.rest[0] == '0'
	c.rest = c.rest[digits:]
	return n
}
