package mount

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"

	"slipway/internal/bundle"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// reuse takes from the version before what is the same in s: as hard links, or
// as copies where the file system does not link. What it cannot take is left
// to be written. A file is only ever taken for the same path, so that path and
// time together always mean one content, as Python's caches assume.
func (s *stage) reuse(ctx context.Context, from string, before record) error {
	old := make(map[string]recorded, len(before.Files))
	for _, f := range before.Files {
		old[f.Path] = f
	}
	g, ctx := errgroup.WithContext(ctx)
	half := len(s.order) / 2
	for _, part := range [][]int{s.order[:half], s.order[half:]} {
		g.Go(func() error { return s.reusePart(ctx, part, from, old) })
	}
	return g.Wait()
}

// reusePart is reuse for the files whose indexes are in part.
func (s *stage) reusePart(ctx context.Context, part []int, from string, old map[string]recorded) error {
	src, err := openFolders(from)
	if err != nil {
		return nil // there is nothing to take from
	}
	defer src.close()
	dst, err := newFolders(s.dir)
	if err != nil {
		return err
	}
	defer dst.close()
	for _, i := range part {
		f := &s.files[i]
		was, ok := old[f.Path]
		if f.Link != "" || !ok || !was.Same(f.File) || src.look(was) != nil {
			continue
		}
		f.MTime = was.MTime
		if err := s.take(src, dst, *f); err != nil {
			return err
		}
		if s.have[i] = true; ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// take makes f a hard link to the file of the same path in src, or else a copy.
func (s *stage) take(src, dst *folders, f recorded) error {
	err := dst.link(src, f)
	if !unlinkable(err) {
		return err
	}
	in, err := src.root.Open(f.Path)
	if err != nil {
		return err
	}
	defer in.Close()
	s.wrote(f)
	return s.write(dst, f, verified(f, in))
}

// unlinkable reports whether err says that a file cannot have another name
// there, while it could still be copied.
func unlinkable(err error) bool {
	return errors.Is(err, unix.EMLINK) || errors.Is(err, unix.EXDEV) ||
		errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOTSUP)
}

// write makes the file f with what fill writes.
func (s *stage) write(at *folders, f recorded, fill func(io.Writer) error) error {
	out, err := at.create(f)
	if err != nil {
		return err
	}
	err = fill(out)
	if s.masked {
		err = errors.Join(err, out.chmod(mode(f.File)))
	}
	if err := errors.Join(err, out.close()); err != nil {
		return err
	}
	return at.date(f)
}

// verified fills a file with r, and fails unless that is f's content.
func verified(f recorded, r io.Reader) func(io.Writer) error {
	return func(w io.Writer) error {
		sum := sha256.New()
		if _, err := io.Copy(io.MultiWriter(w, sum), r); err != nil {
			return err
		}
		if got := hex.EncodeToString(sum.Sum(nil)); got != f.SHA256 {
			return bundle.ContentError(f.SHA256, got)
		}
		return nil
	}
}
