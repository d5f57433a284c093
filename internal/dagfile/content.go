// Package dagfile decides which files of a DAG bundle version Airflow would
// load: by content, as Airflow's safe mode, and by .airflowignore.
package dagfile

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"slipway/internal/slipway"
)

// Content holds facts about the bytes of a file, under any name.
type Content struct {
	Airflow2 bool // "dag" and "airflow", in any case: safe mode of Airflow 2, for .py files
	Airflow3 bool // "airflow", and "dag" or "asset": safe mode of Airflow 3
	Zip      bool // Python's zipfile would open the file
	Modules  bool // of a zip: a .py or .pyc file at the root, where Airflow looks for DAGs
	LFS      bool // a pointer of Git LFS in place of the file
	Bidi     bool // text with controls that reorder the text around
}

// Look reads the content of the file name, size bytes. Only .py files are searched
// for the words of safe mode.
func Look(name string, r io.ReaderAt, size int64) (c Content, err error) {
	if isPython(name) {
		var w words
		if _, err := io.Copy(&w, io.NewSectionReader(r, 0, size)); err != nil {
			return c, fmt.Errorf("look for a DAG in %s: %w", name, err)
		}
		c.Airflow2, c.Airflow3 = w.dag && w.airflow, w.airflow && (w.dag || w.asset)
	}
	if size <= slipway.LookMax {
		text := make([]byte, size)
		if _, err := r.ReadAt(text, 0); err != nil && !errors.Is(err, io.EOF) {
			return c, fmt.Errorf("look into %s: %w", name, err)
		}
		c.LFS, c.Bidi = isPointer(text), HasBidi(text)
	}
	c.Zip, c.Modules, err = lookZip(r, size)
	if err != nil {
		return c, fmt.Errorf("look for a zip archive in %s: %w", name, err)
	}
	return c, nil
}

// LookAt is Look for a content in memory.
func LookAt(name string, b []byte) Content {
	var c Content
	if isPython(name) {
		var w words
		_, _ = w.Write(b) // never fails
		c.Airflow2, c.Airflow3 = w.dag && w.airflow, w.airflow && (w.dag || w.asset)
	}
	c.LFS, c.Bidi = isPointer(b), len(b) <= slipway.LookMax && HasBidi(b)
	if bytes.Contains(b[max(0, len(b)-endMax):], []byte(endSign)) {
		c.Zip, c.Modules, _ = lookZip(bytes.NewReader(b), int64(len(b))) // never fails
	}
	return c
}

// Or joins the facts about one content under two names.
func (c Content) Or(d Content) Content {
	c.Airflow2, c.Airflow3 = c.Airflow2 || d.Airflow2, c.Airflow3 || d.Airflow3
	c.Zip, c.Modules, c.LFS, c.Bidi = c.Zip || d.Zip, c.Modules || d.Modules, c.LFS || d.LFS, c.Bidi || d.Bidi
	return c
}

// Rule is the number of the rule by which Mark judges. Another rule has the next number.
const Rule = 1

// Older reports whether the marks of f are by an older rule than Mark's. A symlink has
// none.
func Older(f slipway.File) bool { return f.Link == "" && f.Marks < Rule }

// Tells reports whether the content of the file at path says whether Airflow loads
// the file, for every name but of archives under a name of their own.
func Tells(path string) bool { return isPython(path) || strings.HasSuffix(path, ".zip") }

// Mark sets the marks of f for the content c, by the name of f. Airflow opens
// each zip archive; one of another name than .zip matters for modules inside.
func (c Content) Mark(f *slipway.File) {
	python := isPython(f.Path)
	f.DAG = python && c.Airflow2 || c.Modules || c.Zip && (python || strings.HasSuffix(f.Path, ".zip"))
	f.Asset = !f.DAG && python && c.Airflow3
	f.LFS, f.Bidi, f.Marks = c.LFS, c.Bidi, Rule
}

// isPython reports whether Python's pathlib sees the suffix .py: a file of the
// bare name .py has none.
func isPython(name string) bool {
	base := name[strings.LastIndexByte(name, '/')+1:]
	return strings.HasSuffix(base, ".py") && base != ".py"
}

// pointers are the first lines of Git LFS pointers, of now and of before 2014.
var pointers = []string{"version https://git-lfs.github.com/spec/", "version https://hawser.github.com/spec/"}

// pointerMax is the limit of git-lfs for the size of a pointer.
const pointerMax = 1024

func isPointer(b []byte) bool {
	if len(b) >= pointerMax {
		return false
	}
	for _, start := range pointers {
		if bytes.HasPrefix(b, []byte(start)) && bytes.Contains(b, []byte("\noid ")) {
			return true
		}
	}
	return false
}

// HasBidi reports whether b is text with a bidirectional control.
func HasBidi(b []byte) bool {
	for rest := b; ; {
		i := bytes.IndexByte(rest, 0xE2) // the first byte of all of them
		if i < 0 {
			return false
		}
		rest = rest[i:]
		if r, _ := utf8.DecodeRune(rest); slipway.IsBidi(r) {
			return utf8.Valid(b) && bytes.IndexByte(b, 0) < 0
		}
		rest = rest[1:]
	}
}

// words searches written bytes for the words of safe mode, in any case.
type words struct {
	dag, airflow, asset bool
	tail                []byte // end of the previous bytes, shorter than a word
}

// Write scans b, joined with the end of the previous bytes.
func (w *words) Write(b []byte) (int, error) {
	const chunk = 1 << 10 // the words mostly stand near the top
	for rest := b; len(rest) > 0 && !(w.dag && w.airflow); {
		n := min(chunk, len(rest))
		w.scan(rest[:n])
		rest = rest[n:]
	}
	return len(b), nil
}

func (w *words) scan(b []byte) {
	text := w.tail
	for _, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		text = append(text, c)
	}
	w.dag = w.dag || bytes.Contains(text, []byte("dag"))
	w.airflow = w.airflow || bytes.Contains(text, []byte("airflow"))
	w.asset = w.asset || bytes.Contains(text, []byte("asset"))
	w.tail = append(text[:0], text[max(0, len(text)-len("airflow")+1):]...)
}

// The records at the end of a zip archive, from PKWARE's APPNOTE 4.3.12 and
// 4.3.16.
const (
	endSign     = "PK\x05\x06"
	endSize     = 22
	endMax      = endSize + 1<<16 // with the longest comment, as Python searches
	centralSign = "PK\x01\x02"
	centralSize = 46

	recordsMax   = 1 << 16
	directoryMax = 64 << 20
)

// lookZip reports whether Python's zipfile.is_zipfile is true, and whether a
// module stands at the root.
func lookZip(r io.ReaderAt, size int64) (zip, modules bool, err error) {
	from := max(0, size-endMax)
	tail := make([]byte, size-from)
	if _, err := r.ReadAt(tail, from); err != nil && !errors.Is(err, io.EOF) {
		return false, false, err
	}
	i := bytes.LastIndex(tail, []byte(endSign))
	if i < 0 || len(tail)-i < endSize {
		return false, false, nil
	}
	end := tail[i : i+endSize]
	entries, length := int(binary.LittleEndian.Uint16(end[10:])), int64(binary.LittleEndian.Uint32(end[12:]))
	if entries == 0 && length == 0 {
		return true, false, nil
	}
	if length == 1<<32-1 || entries == 1<<16-1 { // Zip64: its directory is not read here
		return true, true, nil
	}
	modules, zip, err = findModule(r, from+int64(i)-length, length)
	return zip, modules, err
}

// findModule looks for a .py or .pyc file at the root in the central directory of
// length bytes from start on. found is false without a directory. A directory of more
// than an archive without Zip64 has is not read: it may name a module.
func findModule(r io.ReaderAt, start, length int64) (module, found bool, err error) {
	if start < 0 {
		return false, false, nil
	}
	in := bufio.NewReaderSize(io.NewSectionReader(r, start, min(length, directoryMax)), 1<<16)
	head := make([]byte, centralSize)
	for range recordsMax {
		if _, err := io.ReadFull(in, head); err != nil {
			return found && length > directoryMax, found, readError(err)
		}
		if string(head[:4]) != centralSign {
			return false, found, nil
		}
		found = true
		n, extra, comment := binary.LittleEndian.Uint16(head[28:]), binary.LittleEndian.Uint16(head[30:]), binary.LittleEndian.Uint16(head[32:])
		name, err := in.Peek(int(n))
		if err == nil && isModule(string(name)) {
			return true, true, nil
		}
		if _, err := in.Discard(int(n) + int(extra) + int(comment)); err != nil {
			return length > directoryMax, true, readError(err)
		}
	}
	return true, true, nil
}

// readError returns err, unless a file ends.
func readError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

func isModule(name string) bool {
	return !strings.Contains(name, "/") && (isPython(name) || strings.HasSuffix(name, ".pyc"))
}
