package bundle

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/klauspost/compress/zstd"

	"slipway/internal/slipway"
)

// contentReader reads one entry of a frame and computes its SHA-256.
type contentReader struct {
	want    string
	sum     hash.Hash
	entries *tar.Reader
	dec     *zstd.Decoder
	raw     io.Closer
}

func (c *contentReader) find() error {
	if err := c.dec.Reset(c.raw.(io.Reader)); err != nil {
		return err
	}
	c.entries = tar.NewReader(c.dec)
	for {
		h, err := c.entries.Next()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("content %s is not in its frame", c.want)
		}
		if err != nil {
			return fmt.Errorf("find content %s: %w", c.want, err)
		}
		if h.Name == c.want {
			return nil
		}
	}
}

func (c *contentReader) Read(b []byte) (int, error) {
	n, err := c.entries.Read(b)
	c.sum.Write(b[:n])
	if errors.Is(err, io.EOF) {
		if got := hex.EncodeToString(c.sum.Sum(nil)); got != c.want {
			return n, ContentError(c.want, got)
		}
	}
	return n, err
}

// ContentError reports a content whose SHA-256 differs from its name.
func ContentError(want, got string) error {
	return fmt.Errorf("content %s is damaged: its SHA-256 is %s", want, got)
}

func (c *contentReader) Close() error {
	c.dec.Close()
	return c.raw.Close()
}

type archiveWriter struct {
	s     *Store
	ns    string
	at    time.Time
	tar   *tar.Writer
	bySHA map[string][]slipway.File // not written yet
}

// write writes the files in the order of their contents in the packs, so each
// frame is unpacked once, and the symlinks last.
func (a *archiveWriter) write(ctx context.Context, files []slipway.File) error {
	var places []slipway.Place
	for _, f := range files {
		if f.Link == "" {
			a.bySHA[f.SHA256] = append(a.bySHA[f.SHA256], f)
			places = append(places, f.Place)
		}
	}
	err := eachContent(ctx, a.s.Source(a.ns), places, func(sha string, _ int64, r io.Reader) error {
		same := a.bySHA[sha]
		delete(a.bySHA, sha)
		return a.writeSame(ctx, same, r)
	})
	if err != nil {
		return err
	}
	for sha := range a.bySHA {
		return fmt.Errorf("content %s is missing", sha)
	}
	for _, f := range files {
		if f.Link != "" {
			if err := a.header(f); err != nil {
				return err
			}
		}
	}
	return nil
}

// inMemoryTwice is the largest size in bytes of a shared content that is
// buffered in memory.
const inMemoryTwice = 1 << 20

// writeSame writes files with the common content r.
func (a *archiveWriter) writeSame(ctx context.Context, files []slipway.File, r io.Reader) error {
	if len(files) > 1 && files[0].Size <= inMemoryTwice {
		b, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		for _, f := range files {
			if err := a.file(f, bytes.NewReader(b)); err != nil {
				return err
			}
		}
		return nil
	}
	for i, f := range files {
		if i > 0 { // large, and r is spent
			again, err := a.s.Content(ctx, a.ns, f)
			if err != nil {
				return err
			}
			defer again.Close()
			r = again
		}
		if err := a.file(f, r); err != nil {
			return err
		}
	}
	return nil
}

// file writes f with the content r, and fails if the SHA-256 of r differs.
func (a *archiveWriter) file(f slipway.File, r io.Reader) error {
	if err := a.header(f); err != nil {
		return err
	}
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(a.tar, sum), r); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != f.SHA256 {
		return ContentError(f.SHA256, got)
	}
	return a.tar.Flush() // fails when the content was too short
}

func (a *archiveWriter) header(f slipway.File) error {
	h := &tar.Header{Name: "dags/" + f.Path, Mode: 0o644, Size: f.Size, ModTime: a.at.Truncate(time.Second)}
	switch {
	case f.Link != "":
		h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, f.Link, 0o777
	case f.Exec:
		h.Mode = 0o755
	}
	return a.tar.WriteHeader(h)
}
