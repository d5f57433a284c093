package mount

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"slipway/internal/bundle"
)

const (
	linkers   = 2    // goroutines that link files
	batchSize = 1024 // files at a time
)

// candidate is a file of a new version, with the file of the previous version at the
// same path.
type candidate struct {
	recorded
	was    recorded
	known  bool // to the previous version, unchanged
	linked bool // on disk
}

// adopt reads the list of the version's files, takes unchanged files from the
// previous version, and notes the others as missing: as hard links, or as copies where
// the file system does not link. A file is only taken for the same path: path and time
// together always mean one content, as caches of Python assume. The record is written
// meanwhile.
func (s *staging) adopt(ctx context.Context, list *fileList, before *previous) error {
	var all []*linker
	defer func() {
		for _, l := range all {
			l.close()
		}
	}()
	for range linkers {
		l, err := newLinker(s, before)
		if err != nil {
			return fmt.Errorf("link files: %w", err)
		}
		all = append(all, l)
	}
	batch := make([]candidate, 0, batchSize)
	for more := true; more; {
		var err error
		if batch, more, err = nextBatch(batch[:0], list, before); err != nil {
			return inVersion(s.version, err)
		}
		if err := linkAll(ctx, all, batch); err != nil {
			return fmt.Errorf("link files: %w", err)
		}
		for _, c := range batch {
			if err := s.note(c); err != nil {
				return fmt.Errorf("write the record: %w", err)
			}
		}
	}
	s.links = list.check.Links()
	if err := s.list.End(); err != nil {
		return fmt.Errorf("write the record: %w", err)
	}
	return nil
}

// nextBatch fills batch, and reports whether there may be more files.
func nextBatch(batch []candidate, list *fileList, before *previous) (full []candidate, more bool, err error) {
	for len(batch) < cap(batch) {
		f, err := list.next()
		if errors.Is(err, io.EOF) {
			return batch, false, nil
		}
		if err != nil {
			return nil, false, err
		}
		was, known := before.find(f.Path)
		batch = append(batch, candidate{recorded: f, was: was, known: known && f.Link == "" && was.Same(f.File)})
	}
	return batch, true, nil
}

// note writes a file of the version to the record. A file that was not linked is
// missing.
func (s *staging) note(c candidate) error {
	f := c.recorded
	switch f.MTime = s.stamp.Unix(); {
	case f.Link != "":
		f.MTime = 0
	case c.linked:
		f.MTime = c.was.MTime
	}
	s.folders += len(bundle.NewFolders(s.last, f.Path))
	s.last = f.Path
	at, err := s.list.Add(f)
	if err != nil || f.Link != "" || c.linked {
		return err
	}
	return s.missing.add(f, at)
}

// linkAll has each linker link a part of the batch.
func linkAll(ctx context.Context, all []*linker, batch []candidate) error {
	var wg sync.WaitGroup
	errs := make([]error, len(all))
	for i, l := range all {
		part := batch[i*len(batch)/len(all) : (i+1)*len(batch)/len(all)]
		wg.Go(func() { errs[i] = l.link(ctx, part) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// linker links files of the previous version.
type linker struct {
	*staging
	src, dst *dagsDir // src is nil if there is nothing to take
}

func newLinker(s *staging, before *previous) (*linker, error) {
	l := &linker{staging: s}
	if before == nil {
		return l, nil
	}
	src, err := openDagsDir(before.dir)
	if err != nil {
		return l, nil // nothing to take
	}
	if l.dst, err = createDagsDir(s.dir); err != nil {
		src.close()
		return nil, err
	}
	l.src = src
	return l, nil
}

func (l *linker) close() {
	if l.src != nil {
		l.src.close()
		l.dst.close()
	}
}

// link links the files that are on disk in the previous version as recorded.
func (l *linker) link(ctx context.Context, batch []candidate) error {
	if l.src == nil {
		return ctx.Err()
	}
	for i := range batch {
		c := &batch[i]
		if !c.known || l.src.check(c.was) != nil {
			continue
		}
		f := c.recorded
		f.MTime = c.was.MTime
		if err := l.take(l.src, l.dst, f); err != nil {
			return err
		}
		if c.linked = true; ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return ctx.Err()
}

// take makes f a hard link to the file of the same path in src, or else a copy.
func (s *staging) take(src, dst *dagsDir, f recorded) error {
	err := dst.link(src, f)
	if !unlinkable(err) {
		return err
	}
	in, err := src.root.Open(f.Path)
	if err != nil {
		return err
	}
	defer in.Close()
	s.addFresh(f)
	return s.write(dst, f, verified(f, in))
}
