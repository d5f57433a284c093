package bundle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sync/errgroup"

	"slipway/internal/archive"
	"slipway/internal/dagfile"
	"slipway/internal/durable"
	"slipway/internal/slipway"
)

// Staged is an upload with all contents stored.
type Staged struct {
	Files []slipway.File // by path, with their Places

	// New holds the contents that were in no pack before: without paths, in the order of the
	// pack.
	New  []slipway.File
	Pack Pack // with the new contents; zero without any

	Root         slipway.Root // the dags folder in the archive, and how it was found
	LeftOut      []archive.Omission
	LeftOutFiles int
	Outside      []string
	Unpacked     int64 // bytes of Files
}

// Known says where a content is stored already.
type Known func(sha256 string) (slipway.Place, bool)

// storedContent is a content and its place in a pack.
type storedContent struct {
	size  int64
	facts dagfile.Content
	known bool
	slipway.Place
}

// staging is the reading of one upload.
type staging struct {
	to     *Store
	ns     string
	dir    string // to write the pack in
	known  Known
	lim    archive.Limits
	search archive.Search
	pack   *packWriter
	stored map[string]storedContent // by SHA-256
	byName map[string]string        // entry → SHA-256
}

// read reads the archive, or the archive inside that holds the DAGs.
func (st *staging) read(ctx context.Context, upload io.ReaderAt, size int64) (archive.Selection, error) {
	inside := st.search.Inside
	if inside == "" {
		selection, err := st.readOne(ctx, upload, size)
		if err != nil || selection.Inner == "" {
			return selection, err
		}
		inside = selection.Inner
	}
	f, n, err := st.extract(ctx, upload, size, inside)
	if err != nil {
		return archive.Selection{}, err
	}
	defer f.Close() // only read, and without a name
	clear(st.byName)
	st.lim.Upload = size
	selection, err := st.readOne(ctx, f, n)
	if err == nil && selection.Inner != "" {
		err = slipway.Errorf(slipway.Invalid, "The archive %s in the upload holds another archive, %s, and no DAG file. Upload that one.", archive.Quote(inside), archive.Quote(selection.Inner))
	}
	selection.Found.Inside = inside
	return selection, err
}

// extract writes the file name of the archive to a temporary file.
func (st *staging) extract(ctx context.Context, upload io.ReaderAt, size int64, name string) (f *os.File, n int64, err error) {
	f, err = os.CreateTemp(st.dir, durable.TempPattern)
	if err != nil {
		return nil, 0, err
	}
	in := intake{dir: st.dir, lim: st.lim}
	err = archive.Extract(ctx, upload, size, st.lim, name, func(e archive.Entry, r io.Reader) error {
		if err := in.fits(e); err != nil {
			return err
		}
		n, err = copyClaimed(st.lim, f, r)
		return err
	})
	if err = errors.Join(err, os.Remove(f.Name())); err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, n, nil
}

// copyClaimed copies r to f, and claims the space on the disk.
func copyClaimed(lim archive.Limits, f io.Writer, r io.Reader) (n int64, err error) {
	w := lim.Writer(f)
	defer func() { err = errors.Join(err, w.Close()) }()
	return io.Copy(struct{ io.Writer }{w}, r)
}

// readOne reads an archive in one goroutine and packs new contents in another.
func (st *staging) readOne(ctx context.Context, upload io.ReaderAt, size int64) (archive.Selection, error) {
	var selection archive.Selection
	g, ctx := errgroup.WithContext(ctx)
	in := newIntake(ctx, st.dir, st.lim)
	defer in.drop()
	g.Go(func() (err error) {
		defer slipway.Recovered(&err)
		defer close(in.items)
		selection, err = archive.Read(ctx, upload, size, st.lim, st.search, in.take)
		return err
	})
	g.Go(func() (err error) {
		defer slipway.Recovered(&err)
		for it := range in.items {
			if err := st.store(it); err != nil {
				return err
			}
			in.done(it)
		}
		return nil
	})
	err := g.Wait() // before selection is looked at
	return selection, err
}

// store packs an item, unless the content is stored already.
func (st *staging) store(it *item) error {
	sha := it.sha()
	st.byName[it.name] = sha
	c, seen := st.stored[sha]
	if !seen {
		c.Place, c.known = st.known(sha)
		c.size = it.size
	}
	c.facts = c.facts.Or(it.facts)
	st.stored[sha] = c
	if seen || c.known {
		return nil
	}
	return st.pack.add(sha, it.size, it.reader())
}

// finish stores the selected part of the pack, and returns all files with
// their places.
func (st *staging) finish(ctx context.Context, selection archive.Selection) (Staged, error) {
	out := Staged{Root: selection.Found, LeftOut: selection.LeftOut, LeftOutFiles: selection.LeftOutFiles, Outside: selection.Outside}
	used := map[string]bool{}
	for _, e := range selection.Entries {
		used[st.byName[e.Name]] = true
	}
	if err := st.keepOnly(ctx, used); err != nil {
		return Staged{}, err
	}
	if err := st.keep(ctx, &out); err != nil {
		return Staged{}, err
	}
	for _, e := range selection.Entries {
		f, err := st.file(e)
		if err != nil {
			return Staged{}, err
		}
		out.Files = append(out.Files, f)
		out.Unpacked += f.Size
	}
	slipway.SortFiles(out.Files)
	return out, nil
}

// keepOnly rewrites the pack without the unused contents, if any.
func (st *staging) keepOnly(ctx context.Context, used map[string]bool) error {
	if err := st.pack.finish(); err != nil {
		return fmt.Errorf("finish a pack: %w", err)
	}
	var places []slipway.Place
	var n int
	for _, c := range st.pack.list {
		if used[c.sha] {
			n++
			places = append(places, st.pack.place(c))
		}
	}
	if n == len(st.pack.list) {
		return nil
	}
	p, err := newPack(st.dir, st.lim)
	if err != nil {
		return err
	}
	old := st.pack
	st.pack = p
	defer old.discard()
	err = eachContent(ctx, openFrames{old.f}, places, func(sha string, size int64, r io.Reader) error {
		if !used[sha] {
			return nil
		}
		return p.add(sha, size, r)
	})
	return errors.Join(err, p.finish())
}

// keep stores the pack, unless empty.
func (st *staging) keep(ctx context.Context, out *Staged) (err error) {
	if len(st.pack.list) == 0 {
		return nil
	}
	if out.Pack, err = st.pack.keep(ctx, st.to, st.ns); err != nil {
		return err
	}
	for _, p := range st.pack.list {
		c := st.stored[p.sha]
		c.Place = st.pack.place(p)
		st.stored[p.sha] = c
		out.New = append(out.New, slipway.File{SHA256: p.sha, Size: p.size, Place: c.Place})
	}
	return nil
}

// file returns the deployed file for e.
func (st *staging) file(e archive.Selected) (slipway.File, error) {
	if e.Link != "" {
		return slipway.File{Path: e.Path, Link: e.Link}, nil
	}
	sha, ok := st.byName[e.Name]
	if !ok {
		return slipway.File{}, fmt.Errorf("the content of %s was not read", e.Name)
	}
	c := st.stored[sha]
	f := slipway.File{Path: e.Path, SHA256: sha, Size: c.size, Exec: e.Exec, NoMode: e.NoMode, Place: c.Place}
	c.facts.Mark(&f)
	return f, nil
}
