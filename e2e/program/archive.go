package program

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"maps"
	"slices"
)

// ArchiveOf returns a .tar.gz of files, in the order of their names.
func ArchiveOf(files map[string]string) []byte { return Packed(files, gzip.DefaultCompression) }

// Packed is ArchiveOf with a level of compression.
func Packed(files map[string]string, level int) []byte {
	var out bytes.Buffer
	zip, err := gzip.NewWriterLevel(&out, level)
	if err != nil {
		panic(err) // no such level
	}
	tw := tar.NewWriter(zip)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		WriteEntry(tw, &tar.Header{Name: name, Mode: 0o644, Size: int64(len(files[name]))}, []byte(files[name]))
	}
	if tw.Close() != nil || zip.Close() != nil {
		panic("a buffer cannot fail")
	}
	return out.Bytes()
}

// WriteEntry adds an entry to an archive in memory.
func WriteEntry(tw *tar.Writer, h *tar.Header, content []byte) {
	if err := tw.WriteHeader(h); err != nil {
		panic(err)
	}
	if _, err := tw.Write(content); err != nil {
		panic(err)
	}
}
