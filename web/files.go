package web

import (
	"context"
	"errors"
	"maps"
	"net/url"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
	"slipway/views"
)

// Limits of a list of changed files and of the differences in it.
const (
	maxRows      = 200             // files in one part of the list
	countedFiles = 60              // compared for their counts
	openBytes    = 4 << 20         // compared, of all files together: about a second of work
	openFiles    = 40              // open at once
	maxShown     = 3000            // lines of all open files together
	maxFile      = 400             // lines of one file that was not asked for
	maxInking    = 2 * time.Second // for the colours of all open files together
	gapStep      = 20              // lines that open at once
)

// fileAsk is what an address asks of a list of changed files.
type fileAsk struct {
	path    string     // of the page
	with    url.Values // the page's own parameters
	file    string     // the one open file; "" for the usual one
	lines   []slipway.LineRange
	split   bool
	wrapped bool
	open    bool // all files
	at      int  // index of the first listed file
}

// fileAskOf reads what is asked of the list on the page at path.
func fileAskOf(c echo.Context, path string) fileAsk {
	a := fileAsk{
		path: path, file: c.QueryParam("file"), lines: slipway.LineRanges(c.QueryParam("lines")), split: c.QueryParam("view") == "split",
		wrapped: c.QueryParam("wrap") == "1", open: c.QueryParam("open") == "all", at: max(0, queryNumber(c, "at")),
	}
	if c.QueryParam("context") == "all" || c.QueryParam("lines") == "all" {
		a.lines = []slipway.LineRange{slipway.AllLines}
	}
	return a
}

// address is the address of a, good for every member.
func (a fileAsk) address() string {
	to := url.Values{}
	maps.Copy(to, a.with)
	for name, value := range map[string]string{
		"file": a.file, "lines": linesText(a.lines), "view": choice(a.split, "split"), "wrap": choice(a.wrapped, "1"), "open": choice(a.open, "all"), "at": choice(a.at > 0, strconv.Itoa(a.at)),
	} {
		if value != "" {
			to.Set(name, value)
		}
	}
	if len(to) == 0 {
		return a.path
	}
	return a.path + "?" + to.Encode()
}

func linesText(all []slipway.LineRange) string {
	if len(all) > 0 && all[0] == slipway.AllLines {
		return "all"
	}
	return slipway.RangesText(all)
}

// choice returns value if yes, otherwise "".
func choice(yes bool, value string) string {
	if yes {
		return value
	}
	return ""
}

// look says how differences are shown, with the addresses of the other ways.
func (a fileAsk) look() views.FileList {
	v := views.FileList{Split: a.split, Wrapped: a.wrapped, AllOpen: a.open}
	other := a
	other.split = false
	v.UnifiedURL = other.address()
	other.split = true
	v.SplitURL = other.address()
	other = a
	other.wrapped = !other.wrapped
	v.WrapURL = other.address()
	return v
}

// alone is the address with one open file, and more lines of the file.
func (a fileAsk) alone(path string, more ...slipway.LineRange) string {
	if a.file != path {
		a.lines = nil
	}
	a.file, a.open = path, false
	a.lines = append(append([]slipway.LineRange{}, a.lines...), more...)
	if len(more) > 0 && more[0] == slipway.AllLines {
		a.lines = more
	}
	return a.address()
}

// from is the address of the list from index at on.
func (a fileAsk) from(at int) string {
	a.at, a.file, a.lines = at, "", nil
	return a.address()
}

// fileSource compares the files of a list, and knows their addresses.
type fileSource struct {
	diff   func(context.Context, slipway.Change, slipway.Look) (slipway.FileDiff, error)
	row    func(slipway.Change) views.FileChange
	folder func(string) string // address of the list for one folder; "" for none
}

// fileLister makes one list of changed files, within the limits of a page.
type fileLister struct {
	fileSource
	ask   fileAsk
	away  error // why nothing can be compared now
	bytes int64 // that may still be compared
	room  int   // lines that may still be shown
	inks  time.Duration
}

// listFiles returns the part of the list that ask names.
func listFiles(ctx context.Context, ask fileAsk, changes []slipway.Change, away error, source fileSource) (views.FileList, error) {
	l := fileLister{fileSource: source, ask: ask, away: away, bytes: openBytes, room: maxShown, inks: maxInking}
	listed, folded := slipway.FoldModes(changes, ask.file)
	v := ask.look()
	v.Modes = views.FoldedModes(folded, func(c slipway.Change) string { return ask.alone(c.Path) + "#" + anchor(c.Path) })
	for _, c := range changes {
		v.Sum.Add(c)
	}
	at := min(ask.at, len(listed))
	for i, c := range listed {
		if c.Path == ask.file && (i < at || i >= at+maxRows) {
			at = i / maxRows * maxRows
		}
	}
	shown := listed[at:min(at+maxRows, len(listed))]
	l.ask.at = at
	l.addresses(&v, at, len(shown), len(listed))
	if err := l.addRows(ctx, shown, &v); err != nil {
		return v, err
	}
	if l.away != nil {
		_, reason := slipway.Explain(l.away)
		v.Missing = views.ChangesAway(reason)
	}
	views.Arrange(v.Rows, source.folder)
	return v, nil
}

// addresses fills in the addresses of other looks at the list.
func (l *fileLister) addresses(v *views.FileList, at, shown, all int) {
	look := l.ask.look()
	v.UnifiedURL, v.SplitURL, v.WrapURL = look.UnifiedURL, look.SplitURL, look.WrapURL
	other := l.ask
	other.open, other.file, other.lines = !other.open, "", nil
	v.OpenURL = other.address()
	if at > 0 {
		v.Before = l.ask.from(max(0, at-maxRows))
	}
	if at+shown < all {
		v.After = l.ask.from(at + shown)
	}
	if shown < all {
		v.Range = views.FileRange(at+1, at+shown, all)
	}
}

// addRows adds the files of v: first all with their counts, then the open ones with
// their differences.
func (l *fileLister) addRows(ctx context.Context, shown []slipway.Change, v *views.FileList) error {
	for i, c := range shown {
		f := l.newRow(c)
		if i < countedFiles {
			if err := l.count(ctx, c, &f); err != nil {
				return err
			}
		}
		v.Rows = append(v.Rows, f)
	}
	chosen := -1
	if l.ask.file == "" {
		chosen = views.ToOpen(v.Rows)
	}
	open := 0
	for i, c := range shown {
		asked := c.Path == l.ask.file && l.ask.file != ""
		if !asked && (i != chosen || l.ask.open) && (!l.ask.open || open >= openFiles || l.room <= 0) {
			continue
		}
		if err := l.fill(ctx, c, &v.Rows[i], asked); err != nil {
			return err
		}
		open++
	}
	return nil
}

// newRow is a closed file.
func (l *fileLister) newRow(c slipway.Change) views.FileChange {
	f := l.row(c)
	f.Op, f.Path, f.Mode, f.ModeOnly, f.Anchor, f.Split = c.Op, c.Path, views.ModeText(c), c.ModeOnly(), anchor(c.Path), l.ask.split
	f.Content = hashed(c.Path + "\x00" + c.Old.SHA256 + c.Old.Link + "\x00" + c.New.SHA256 + c.New.Link)
	f.URL, f.Size = l.ask.alone(c.Path), c.New.Size
	if c.Op == slipway.Removed {
		f.Size = c.Old.Size
	}
	if c.Op == slipway.Renamed {
		f.Was = c.Old.Path
	}
	if c.Old.Link != "" || c.New.Link != "" {
		f.Link = views.LinkText(c)
	}
	return f
}

// count fills in the changed lines of f, while there are bytes to compare.
func (l *fileLister) count(ctx context.Context, c slipway.Change, f *views.FileChange) error {
	if l.away != nil || l.bytes <= 0 || f.Link != "" || f.ModeOnly || c.Op == slipway.Renamed {
		return nil
	}
	d, err := l.diff(ctx, c, slipway.Look{})
	if errors.Is(err, slipway.ErrUnavailable) {
		l.away = err
		return nil
	}
	l.bytes -= compared(c)
	f.Counted, f.Added, f.Removed = err == nil && !d.Binary && !d.TooLarge, d.Added, d.Removed
	return err
}

// fill opens f. asked is true for the file that the address names: the whole
// difference is shown.
func (l *fileLister) fill(ctx context.Context, c slipway.Change, f *views.FileChange, asked bool) error {
	f.Open = true
	if l.away != nil || f.Link != "" || f.ModeOnly {
		return nil
	}
	look := slipway.Look{Inked: l.inks > 0}
	if asked {
		look.Lines = l.ask.lines
	}
	start := time.Now()
	d, err := l.diff(ctx, c, look)
	if errors.Is(err, slipway.ErrUnavailable) {
		l.away, f.Open = err, false
		return nil
	}
	if err != nil {
		return err
	}
	l.inks -= time.Since(start)
	f.Counted, f.Added, f.Removed = !d.Binary && !d.TooLarge && c.Op != slipway.Renamed, d.Added, d.Removed
	if !asked {
		f.Cut = cut(&d, maxFile)
	}
	f.Diff = &d
	f.Gaps = gapLinks(d, f.Cut > 0, func(r slipway.LineRange) string { return l.ask.alone(c.Path, r) })
	l.room -= shownLines(d)
	return nil
}

// one returns the open file that ask names, for a page that has the rest of the list.
func (l *fileLister) one(ctx context.Context, changes []slipway.Change) (views.FileChange, error) {
	for _, c := range changes {
		if c.Path == l.ask.file {
			f := l.newRow(c)
			err := l.fill(ctx, c, &f, true)
			if l.away != nil {
				err = l.away
			}
			return f, err
		}
	}
	return views.FileChange{}, slipway.Errorf(slipway.NotFound, views.NoFileChanged, l.ask.file)
}

// oneFile answers htmx with the difference of the file that ask names.
func oneFile(c echo.Context, ask fileAsk, changes []slipway.Change, away error, source fileSource) error {
	l := fileLister{fileSource: source, ask: ask, away: away, inks: maxInking}
	f, err := l.one(c.Request().Context(), changes)
	if err != nil {
		return err
	}
	return render(c, 200, views.FileBody(f))
}

// wantsOneFile reports whether a request asks for the difference of one file alone.
func wantsOneFile(c echo.Context) bool { return wantsPartial(c) && c.QueryParam("file") != "" }

// gapLinks are the links that open the gaps of d. short is true for a difference whose
// end is missing.
func gapLinks(d slipway.FileDiff, short bool, address func(slipway.LineRange) string) (all []views.GapLinks) {
	gaps := d.Gaps()
	for _, g := range gaps {
		v := views.GapLinks{Before: g.Before, Lines: g.Len(), All: address(g.LineRange)}
		last := g.Before == len(d.Hunks)
		if last && short {
			continue
		}
		if g.Len() > gapStep && !last {
			v.Above = address(slipway.LineRange{From: g.To - gapStep + 1, To: g.To})
		}
		if g.Len() > gapStep && g.Before > 0 {
			v.Below = address(slipway.LineRange{From: g.From, To: g.From + gapStep - 1})
		}
		all = append(all, v)
	}
	return all
}

// anchor is a fragment id for a file, safe for every path.
func anchor(path string) string {
	return "file-" + hashed(path)
}

// compared returns the bytes read to compare a file, 0 for a large file and for
// a change of the mode alone.
func compared(change slipway.Change) int64 {
	if change.ModeOnly() || max(change.Old.Size, change.New.Size) > maxShownBytes {
		return 0
	}
	return change.Old.Size + change.New.Size
}

// shownLines counts the lines of d.
func shownLines(d slipway.FileDiff) (n int) {
	for _, h := range d.Hunks {
		n += len(h.Lines)
	}
	return n
}

// cut shortens d to limit lines and returns the number of removed lines.
func cut(d *slipway.FileDiff, limit int) (gone int) {
	var kept []slipway.Hunk
	for _, h := range d.Hunks {
		n := min(limit, len(h.Lines))
		gone += len(h.Lines) - n
		limit -= n
		h.Lines = h.Lines[:n]
		if n > 0 {
			kept = append(kept, h)
		}
	}
	d.Hunks = kept
	return gone
}
