package deploy

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"slipway/internal/archive"
	"slipway/internal/bundle"
	"slipway/internal/dagfile"
	"slipway/internal/diff"
	"slipway/internal/highlight"
	"slipway/internal/slipway"
	"slipway/store"
)

// compareMax is the largest number of recorded changes to sum up in a
// comparison of two versions. Beyond the limit, reading both manifests is
// cheaper.
const compareMax = 4000

// contents reads and compares the files of versions and of staged deploys.
type contents struct {
	*base
	files    cache[[]slipway.File]
	judging  chan struct{} // holds one for the judgement under way
	looking  chan struct{} // holds one for the reading of contents under way
	verdicts cache[verdict]
	seen     facts
	inks     *highlight.Reader
}

// Compare returns the changes between two versions of d, "" for no files. With
// all deploys between the versions on record, the cost grows with the changes,
// otherwise with the size of the versions.
func (o *contents) Compare(ctx context.Context, d slipway.Deployment, from, to slipway.Version) (slipway.Comparison, error) {
	changes, known, err := o.recorded(ctx, d, from, to)
	if err != nil {
		return slipway.Comparison{}, err
	}
	if known {
		return slipway.Compare(changes), nil
	}
	old, err := o.filesOf(d.Namespace, from)
	if err != nil {
		return slipway.Comparison{}, err
	}
	next, err := o.filesOf(d.Namespace, to)
	if err != nil {
		return slipway.Comparison{}, err
	}
	return slipway.Compare(slipway.Changes(archive.Composed(old), archive.Composed(next))), nil
}

// recorded sums up the changes of the deploys between two versions, in either
// direction.
func (o *contents) recorded(ctx context.Context, d slipway.Deployment, from, to slipway.Version) (changes []slipway.Change, known bool, err error) {
	if from == to {
		return nil, true, nil
	}
	var steps [][]slipway.Change
	back := false
	err = o.store.View(ctx, func(tx *store.Tx) (err error) {
		if steps, known, err = tx.Steps(d.ID, from, to, compareMax); known || err != nil {
			return err
		}
		back = true
		steps, known, err = tx.Steps(d.ID, to, from, compareMax)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	for i, step := range steps {
		steps[i] = archive.ComposedChanges(step)
	}
	changes = slipway.SumChanges(steps)
	if back {
		changes = slipway.Back(changes)
	}
	return changes, known, nil
}

// DiffBetween compares the contents of a file from Compare between two
// versions, as look asks for.
func (o *contents) DiffBetween(ctx context.Context, d slipway.Deployment, from, to slipway.Version, c slipway.Change, look slipway.Look) (slipway.FileDiff, error) {
	var err error
	if c.Old, err = o.located(ctx, d, from, c.Old); err != nil {
		return slipway.FileDiff{}, err
	}
	if c.New, err = o.located(ctx, d, to, c.New); err != nil {
		return slipway.FileDiff{}, err
	}
	if c.Op == slipway.Renamed { // the contents are equal
		return slipway.FileDiff{Path: c.Path, OldSize: c.Old.Size, NewSize: c.New.Size, OldSHA256: c.Old.SHA256, NewSHA256: c.New.SHA256}, nil
	}
	return o.Diff(ctx, d, c, look)
}

// located returns f of version v with the place of the content: from the
// records, otherwise from the manifest.
func (o *contents) located(ctx context.Context, d slipway.Deployment, v slipway.Version, f slipway.File) (slipway.File, error) {
	if f.SHA256 == "" || f.Pack != "" {
		return f, nil
	}
	stored := false
	err := o.store.View(ctx, func(tx *store.Tx) (err error) {
		f.Place, stored, err = tx.Content(d.ID, f.SHA256)
		return err
	})
	if err != nil || stored {
		return f, err
	}
	found, ok, err := o.File(ctx, d, v, f.Path)
	if ok {
		f = found
	}
	return f, err
}

// File returns the file of a version at path, false for none. Of a version whose names
// are not composed, the composed path will do.
func (o *contents) File(ctx context.Context, d slipway.Deployment, v slipway.Version, path string) (slipway.File, bool, error) {
	files, err := o.filesOf(d.Namespace, v)
	if err != nil {
		return slipway.File{}, false, err
	}
	for _, list := range [][]slipway.File{files, archive.Composed(files)} {
		i, ok := slices.BinarySearchFunc(list, path, func(f slipway.File, path string) int { return strings.Compare(f.Path, path) })
		if ok {
			return list[i], true, nil
		}
	}
	return slipway.File{}, false, nil
}

// DiffContents compares two contents of the file at path, given by sha256, or ""
// for no file, as look asks for.
func (o *contents) DiffContents(ctx context.Context, d slipway.Deployment, path, old, next string, look slipway.Look) (slipway.FileDiff, error) {
	f := slipway.FileDiff{Path: path, OldSHA256: old, NewSHA256: next}
	before, err := o.contentAt(ctx, d, path, old)
	if err != nil {
		return f, err
	}
	after, err := o.contentAt(ctx, d, path, next)
	if err != nil {
		return f, err
	}
	f.OldSize, f.NewSize = int64(len(before)), int64(len(after))
	err = o.fill(ctx, &f, before, after, look)
	return f, err
}

// contentAt reads a content, up to one byte over diff.MaxSize.
func (o *contents) contentAt(ctx context.Context, d slipway.Deployment, path, sum string) ([]byte, error) {
	if sum == "" {
		return nil, nil
	}
	f, stored := slipway.File{Path: path, SHA256: sum}, false
	err := o.store.View(ctx, func(tx *store.Tx) (err error) {
		f.Place, stored, err = tx.Content(d.ID, sum)
		return err
	})
	if err != nil {
		return nil, err
	}
	if !stored {
		return nil, slipway.Errorf(slipway.NotFound, "What dags/%s held then is no longer kept.", slipway.Visible(path))
	}
	r, err := o.Content(ctx, d, f)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, diff.MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return b, nil
}

// Diff compares the contents of a changed file line by line, as look asks for.
func (o *contents) Diff(ctx context.Context, d slipway.Deployment, c slipway.Change, look slipway.Look) (slipway.FileDiff, error) {
	f, small := diff.New(c)
	if !small {
		return f, nil
	}
	before, after, err := o.contentsOf(ctx, d, c)
	if err != nil {
		return f, err
	}
	err = o.fill(ctx, &f, before, after, look)
	return f, err
}

// fill fills in the hunks of f, with inks if look asks for inks.
func (o *contents) fill(ctx context.Context, f *slipway.FileDiff, before, after []byte, look slipway.Look) error {
	if err := diff.Contents(f, before, after, look.Lines); err != nil || !look.Inked {
		return err
	}
	o.inks.Diff(ctx, f, before, after)
	return nil
}

// Inks returns the inks of each line of the file at path, nil for a text without
// colours.
func (o *contents) Inks(ctx context.Context, path string, lines []string) [][]slipway.Ink {
	return o.inks.Lines(ctx, path, lines)
}

// contentsOf returns a changed file's contents before and after the change.
func (o *contents) contentsOf(ctx context.Context, d slipway.Deployment, c slipway.Change) (before, after []byte, err error) {
	if before, err = o.text(ctx, d, c.Old); err != nil {
		return nil, nil, err
	}
	after, err = o.text(ctx, d, c.New)
	return before, after, err
}

// text returns the content of f, the target of a symlink, or nothing for the
// zero File.
func (o *contents) text(ctx context.Context, d slipway.Deployment, f slipway.File) ([]byte, error) {
	if f.SHA256 == "" {
		return []byte(f.Link), nil
	}
	r, err := o.Content(ctx, d, f)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", f.Path, err)
	}
	return b, nil
}

// addsBidi reports whether a changed text has bidirectional controls in added lines.
func (o *contents) addsBidi(ctx context.Context, d slipway.Deployment, c slipway.Change) (bool, error) {
	before, after, err := o.contentsOf(ctx, d, c)
	if err != nil {
		return false, err
	}
	return diff.AddsBidi(c.Path, before, after)
}

// facts are what was found in contents, by SHA-256.
type facts struct {
	mu     sync.Mutex
	byHash map[string]dagfile.Content
}

const factsMax = 200_000

// find returns the facts about files, and the files without any.
func (s *facts) find(files []slipway.File) (known map[string]dagfile.Content, unknown []slipway.File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known = map[string]dagfile.Content{}
	for _, f := range files {
		if c, is := s.byHash[f.SHA256]; is {
			known[f.SHA256] = c
		} else {
			unknown = append(unknown, f)
		}
	}
	return known, unknown
}

func (s *facts) add(more map[string]dagfile.Content) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byHash == nil || len(s.byHash)+len(more) > factsMax {
		s.byHash = map[string]dagfile.Content{}
	}
	maps.Copy(s.byHash, more)
}

// mark sets the marks of those of files that have older ones, where the content is
// known.
func mark(files []slipway.File, known map[string]dagfile.Content) {
	for i, f := range files {
		if !dagfile.Older(f) {
			continue
		}
		if c, is := known[f.SHA256]; is {
			c.Mark(&files[i])
		}
	}
}

// remarked returns the files of d before and after a deploy with marks by the present rule.
// Where a list has older marks, contents that may say more are looked at, once.
// The error is a dagfile.UnjudgedError for a content that cannot be read.
func (o *contents) remarked(ctx context.Context, d slipway.Deployment, base, next []slipway.File) (_, _ []slipway.File, err error) {
	if !slices.ContainsFunc(base, dagfile.Older) && !slices.ContainsFunc(next, dagfile.Older) {
		return base, next, nil
	}
	was, is, wanted := slipway.SameMarks(base, next, dagfile.Older, dagfile.Tells)
	known, err := o.look(ctx, d, wanted)
	if err != nil && ctx.Err() == nil && !errors.Is(err, slipway.ErrUnavailable) {
		o.log.Error("cannot read the contents of an earlier version", "namespace", d.Namespace, "err", err)
		err = dagfile.UnjudgedError("Some files of an earlier version cannot be read.")
	}
	if err != nil {
		return base, next, err
	}
	mark(was, known)
	mark(is, known)
	return was, is, nil
}

// look returns the facts about files of d. One request at a time reads contents, so
// that pages which are opened together read them once.
func (o *contents) look(ctx context.Context, d slipway.Deployment, files []slipway.File) (map[string]dagfile.Content, error) {
	known, unknown := o.seen.find(files)
	if len(unknown) == 0 {
		return known, nil
	}
	select {
	case o.looking <- struct{}{}:
		defer func() { <-o.looking }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if known, unknown = o.seen.find(files); len(unknown) == 0 {
		return known, nil
	}
	found, err := o.bundles.Look(ctx, d.Namespace, unknown)
	if err != nil {
		return nil, err
	}
	o.seen.add(found)
	maps.Copy(known, found)
	return known, nil
}

// Limits of what is read to judge the DAG files of a version.
const (
	ignoreMax  = 256 << 10 // bytes of an .airflowignore
	ignoresMax = 1 << 20   // bytes of all together
)

// verdict is the judgement of a list of files: the paths that Airflow would load,
// or a dagfile.UnjudgedError.
type verdict struct {
	loaded []string
	err    error
}

// DAGFiles returns the sorted paths of the files of d that Airflow would load, of
// the major version airflow. The files may be those of a version, or staged. The
// error is a dagfile.UnjudgedError where Slipway cannot tell. Callers must not change the
// slice.
func (o *contents) DAGFiles(ctx context.Context, d slipway.Deployment, files []slipway.File, airflow int) ([]string, error) {
	ignores := dagfile.Ignores(files)
	if len(ignores) == 0 {
		return dagfile.Loaded(ctx, files, airflow, nil)
	}
	key := judgedKey(files, airflow)
	if v, ok := o.verdicts.find(key); ok {
		return v.loaded, v.err
	}
	texts, err := o.ignoreTexts(ctx, d, ignores)
	if err != nil {
		return nil, err
	}
	select { // a judgement may cost a second or two: of one core at a time
	case o.judging <- struct{}{}:
		defer func() { <-o.judging }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	v, ok := o.verdicts.find(key)
	if ok {
		return v.loaded, v.err
	}
	v.loaded, v.err = dagfile.Loaded(ctx, files, airflow, texts)
	if ctx.Err() == nil {
		o.verdicts.put(key, v, len(v.loaded))
	}
	return v.loaded, v.err
}

// judgedKey is the key of all that a verdict depends on.
func judgedKey(files []slipway.File, airflow int) string {
	sum := sha256.New()
	var b []byte
	for _, f := range files {
		for _, text := range []string{f.Path, f.SHA256, f.Link} {
			b = append(append(b, text...), 0)
		}
		b = strconv.AppendBool(strconv.AppendBool(b, f.DAG), f.Asset)
		_, _ = sum.Write(b) // never fails
		b = b[:0]
	}
	return fmt.Sprintf("%d/%x", airflow, sum.Sum(nil))
}

// ignoreTexts reads the files with patterns, by SHA-256.
func (o *contents) ignoreTexts(ctx context.Context, d slipway.Deployment, ignores []slipway.File) (map[string]string, error) {
	texts, total := map[string]string{}, int64(0)
	for _, f := range ignores {
		if _, known := texts[f.SHA256]; known {
			continue
		}
		if total += f.Size; f.Size > ignoreMax || total > ignoresMax {
			return nil, dagfile.UnjudgedError("The .airflowignore files are too large.")
		}
		text, err := o.text(ctx, d, f)
		if err != nil && ctx.Err() == nil && !errors.Is(err, slipway.ErrUnavailable) {
			o.log.Error("cannot read the patterns of a version", "namespace", d.Namespace, "file", f.Path, "err", err)
			return nil, dagfile.UnjudgedError("A file .airflowignore cannot be read.")
		}
		if err != nil {
			return nil, err
		}
		texts[f.SHA256] = string(text)
	}
	return texts, nil
}

// Loaded returns the sorted paths of the files in a version of d that the present
// Airflow of d would load; none where .airflowignore cannot be judged.
func (o *contents) Loaded(ctx context.Context, d slipway.Deployment, v slipway.Version) ([]string, error) {
	files, err := o.filesOf(d.Namespace, v)
	if err != nil {
		return nil, err
	}
	var i slipway.Image
	err = o.store.View(ctx, func(tx *store.Tx) error {
		i, err = stateImage(tx, d.ID, d.State)
		return err
	})
	if err != nil {
		return nil, err
	}
	files, _, err = o.remarked(ctx, d, files, files)
	var all []string
	if err == nil {
		all, err = o.DAGFiles(ctx, d, files, i.AirflowMajor())
	}
	if _, unjudged := errors.AsType[dagfile.UnjudgedError](err); unjudged {
		return nil, nil
	}
	return all, err
}

// cache keeps what was read or judged last: file lists of versions and uploads, and
// verdicts.
type cache[T any] struct {
	mu   sync.Mutex
	list []cached[T] // last used first
	idle *time.Timer
}

type cached[T any] struct {
	key   string
	value T
	files int
}

func versionKey(ns string, v slipway.Version) string { return ns + "/" + string(v) }

// stagedKey is the key of the files of w with the encoding b: staged again, a deploy has
// others.
func stagedKey(w slipway.DeployID, b []byte) string {
	return fmt.Sprintf("staged/%s/%x", w, sha256.Sum256(b))
}

const (
	cacheMax   = 8
	cacheFiles = 120_000 // in all lists together
	cacheIdle  = time.Minute
)

func (c *cache[T]) find(key string) (value T, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.list, func(f cached[T]) bool { return f.key == key })
	if i < 0 {
		return value, false
	}
	found := c.list[i]
	c.list = slices.Insert(slices.Delete(c.list, i, i+1), 0, found)
	c.idle.Reset(cacheIdle)
	return found.value, true
}

// put keeps a value about a number of files.
func (c *cache[T]) put(key string, value T, files int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = slices.DeleteFunc(c.list, func(f cached[T]) bool { return f.key == key })
	c.list = slices.Insert(c.list, 0, cached[T]{key, value, files})
	total := 0
	for i, f := range c.list {
		if total += f.files; i > 0 && total > cacheFiles || i == cacheMax {
			c.list = slices.Delete(c.list, i, len(c.list))
			break
		}
	}
	if c.idle == nil {
		c.idle = time.AfterFunc(cacheIdle, c.clear)
	}
	c.idle.Reset(cacheIdle)
}

// drop removes the value under a key, as for a deleted version.
func (c *cache[T]) drop(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = slices.DeleteFunc(c.list, func(f cached[T]) bool { return f.key == key })
}

func (c *cache[T]) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = nil
}

// filesOf returns the files of a version, by path. The slice is shared: callers
// must not change it.
func (o *contents) filesOf(ns string, v slipway.Version) ([]slipway.File, error) {
	if v == "" {
		return nil, nil
	}
	if files, ok := o.files.find(versionKey(ns, v)); ok {
		return files, nil
	}
	m, err := o.bundles.Manifest(ns, v)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, slipway.Errorf(slipway.NotFound, "There is no DAG bundle version %s, or it is no longer kept.", v)
	}
	if err != nil {
		return nil, fmt.Errorf("files of version %s: %w", v, err)
	}
	o.files.put(versionKey(ns, v), m.Files, len(m.Files))
	return m.Files, nil
}

// Files returns the files of a version of d, by path. Callers must not change
// the slice.
func (o *contents) Files(ctx context.Context, d slipway.Deployment, v slipway.Version) ([]slipway.File, error) {
	return o.filesOf(d.Namespace, v)
}

// Content returns the content of a file of d. The checksum is verified at the
// end of the content.
func (o *contents) Content(ctx context.Context, d slipway.Deployment, f slipway.File) (io.ReadCloser, error) {
	return o.bundles.Content(ctx, d.Namespace, f)
}

// WriteArchive writes a version of d as a .tar.gz.
func (o *contents) WriteArchive(ctx context.Context, d slipway.Deployment, v slipway.Version, w io.Writer) error {
	files, err := o.filesOf(d.Namespace, v)
	if err != nil {
		return err
	}
	return o.bundles.WriteArchive(ctx, d.Namespace, slipway.Manifest{Version: v, Files: files}, w)
}

// encodeStaged encodes the uploaded files of a deploy for the store.
func encodeStaged(w slipway.Deploy, files []slipway.File) ([]byte, error) {
	var b bytes.Buffer
	err := bundle.WriteManifest(&b, slipway.Manifest{Version: w.Version, Files: files})
	return b.Bytes(), err
}

func decodeStaged(b []byte) ([]slipway.File, error) {
	m, err := bundle.ReadManifest(bytes.NewReader(b))
	return m.Files, err
}

// uploadedFiles returns the uploaded files of a deploy from b, the encoding in
// the store. The slice is shared: callers must not change it.
func (o *contents) uploadedFiles(w slipway.DeployID, b []byte) ([]slipway.File, error) {
	key := stagedKey(w, b)
	if files, ok := o.files.find(key); ok {
		return files, nil
	}
	files, err := decodeStaged(b)
	if err != nil {
		return nil, fmt.Errorf("files of deploy %s: %w", w, err)
	}
	o.files.put(key, files, len(files))
	return files, nil
}

// merged returns the files of a version after the upload of w.
func merged(w slipway.Deploy, base, uploaded []slipway.File) []slipway.File {
	return w.Merge.Apply(w.Folder, archive.Composed(base), w.Landed(uploaded))
}

// relanded returns the staged deploy w with its files at the places that they have in the
// version at the end of the queue. Where that cannot be read, which its plan will say, w
// stays.
func (o *contents) relanded(b queueState, w slipway.Deploy, staged []byte) slipway.Deploy {
	base, err := o.projectedFiles(b)
	if err != nil {
		return w
	}
	files, err := o.uploadedFiles(w.ID, staged)
	if err != nil {
		return w
	}
	return w.Relanded(archive.Composed(base), files)
}

// checkMerged refuses next, made of base by w, if next is no version, or if w goes to a
// folder that base spells otherwise.
func checkMerged(w slipway.Deploy, base, next []slipway.File, lim archive.Limits) error {
	if w.Merge.KeepsOthers() {
		if err := archive.CheckSpelling(w.Folder, base); err != nil {
			return err
		}
	}
	return archive.CheckVersion(next, lim)
}

// projectedFiles returns the files at the end of b's queue. Deploys in the
// queue may have no manifest yet.
func (o *contents) projectedFiles(b queueState) (files []slipway.File, err error) {
	steps, onTop := b.steps()
	if onTop {
		if files, err = o.filesOf(b.now.Namespace, b.now.Version); err != nil {
			return nil, err
		}
	}
	for _, w := range steps {
		if w.Purpose() == slipway.ForReturn {
			if files, err = o.filesOf(b.now.Namespace, w.After.Version); err != nil {
				return nil, err
			}
			continue
		}
		uploaded, err := o.uploadedFiles(w.ID, b.staged[w.ID])
		if err != nil {
			return nil, err
		}
		files = merged(w, files, uploaded)
	}
	return files, nil
}
