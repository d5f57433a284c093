package crash

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"slipway/internal/datadir"
	"slipway/internal/slipway"
)

// order knows what a power cut would leave: at each moment, which contents and
// which names of a data folder are not durable yet. It checks that nothing is
// relied on before it is.
//
// What a call writes counts from its end, what it makes durable is what was
// written before its beginning.
type order struct {
	data     string
	content  map[string]int    // files whose content changed, at which line
	entry    map[string]int    // names that were made or changed in their folders
	exists   map[string]bool   // what was made in this trace
	links    map[string]string // targets of symlinks
	asked    map[string]int    // connections: the line of the request that is answered next
	synced   int               // the line at which the last sync of the log that has ended began
	recorded map[string]bool   // packs and versions that the database named
	turned   int               // how often current was turned to a version
	wrong    []string
}

func newOrder(data string) *order {
	return &order{
		data: data, content: map[string]int{}, entry: map[string]int{}, exists: map[string]bool{},
		links: map[string]string{}, asked: map[string]int{}, recorded: map[string]bool{},
	}
}

// checkOrder reads the trace of a portal with a data folder and returns what
// came too early or never.
func checkOrder(trace, data string) (*order, error) {
	f, err := os.Open(trace)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	o := newOrder(data)
	if err := readTrace(f, o.begins, o.ends); err != nil {
		return nil, err
	}
	for _, path := range o.unsafe(filepath.Join(data, "mounts")) {
		if filepath.Base(path) == "current" {
			o.say(0, "in the end, %s is not durable", path)
		}
	}
	return o, nil
}

func (o *order) say(line int, format string, args ...any) {
	text := strings.ReplaceAll(fmt.Sprintf(format, args...), o.data+"/", "")
	o.wrong = append(o.wrong, fmt.Sprintf("line %d: %s", line, text))
}

// unsafe returns what of path, of all below it and of the folders above it
// would not survive a power cut.
func (o *order) unsafe(path string) (all []string) {
	for p := range o.content {
		if p == path || strings.HasPrefix(p, path+"/") {
			all = append(all, p)
		}
	}
	for p := range o.entry {
		if p == path || strings.HasPrefix(p, path+"/") || strings.HasPrefix(path, p+"/") {
			all = append(all, p)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// begins checks a call before it has any effect.
func (o *order) begins(c *traced) {
	switch c.name {
	case "renameat", "renameat2":
		o.mayRename(c, c.path(0), c.path(2))
	case "mkdirat":
		if name, ok := mountedName(strings.TrimPrefix(c.path(0), o.data+"/")); ok {
			o.say(c.begin, "the version %s is made where it can be seen", name)
		}
	case "pwrite64":
		if strings.HasSuffix(c.file(0), datadir.Database+"-wal") {
			o.mayRecord(c, c.text(1))
		}
	case "write":
		o.mayAnswer(c)
	}
}

// mayRename checks that what gets its final name is durable, and that current
// turns to what is complete.
func (o *order) mayRename(c *traced, from, to string) {
	name := strings.TrimPrefix(to, o.data+"/")
	_, isMounted := mountedName(name)
	switch {
	case strings.HasPrefix(name, "packs/"), strings.HasPrefix(name, "bundles/"), isMounted:
		for _, path := range o.below(from) {
			o.say(c.begin, "%s gets its name before %s is durable", name, path)
		}
	case filepath.Base(name) == "current":
		target := o.links[from]
		at := filepath.Join(filepath.Dir(to), target)
		paths := []string{at}
		if strings.HasPrefix(target, "versions/") {
			o.turned++
			paths = append(paths, at+".json")
		}
		for _, path := range paths {
			if !o.exists[path] {
				o.say(c.begin, "current turns to %s, which is not there", path)
			}
			for _, p := range o.unsafe(path) {
				o.say(c.begin, "current turns to %s before %s is durable", target, p)
			}
		}
	}
}

// mountedName returns the name of a version, or of its record, in a mount, and
// whether it is one.
func mountedName(name string) (string, bool) {
	base := filepath.Base(name)
	return base, strings.HasPrefix(name, "mounts/") && filepath.Base(filepath.Dir(name)) == "versions" && !strings.HasPrefix(base, ".tmp-")
}

// below is unsafe without the name of path itself and what is above it.
func (o *order) below(path string) []string {
	return slices.DeleteFunc(o.unsafe(path), func(p string) bool {
		_, content := o.content[p]
		return !content && (p == path || !strings.HasPrefix(p, path+"/"))
	})
}

// What the rows of packs and versions look like in a page of the database:
// their texts follow each other, and what comes after tells an index apart.
var (
	packRow    = regexp.MustCompile(`01[0-9a-z]{24}([0-9a-f]{64})`)
	versionRow = regexp.MustCompile(`01[0-9a-z]{24}(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z)01[0-9a-z]{24}`)
)

// mayRecord checks that the database names no pack and no version that a power
// cut could take away.
func (o *order) mayRecord(c *traced, page string) {
	for _, m := range packRow.FindAllStringSubmatch(page, -1) {
		o.mayName(c, "packs/*/"+m[1]+".tar.zst")
	}
	for _, m := range versionRow.FindAllStringSubmatch(page, -1) {
		o.mayName(c, "bundles/*/"+slipway.Version(m[1]).Dir()+".json.zst")
	}
}

func (o *order) mayName(c *traced, pattern string) {
	if o.recorded[pattern] {
		return
	}
	o.recorded[pattern] = true
	found := false
	for path := range o.exists {
		if ok, _ := filepath.Match(filepath.Join(o.data, pattern), path); ok {
			found = true
			for _, p := range o.unsafe(path) {
				o.say(c.begin, "%s is recorded before %s is durable", pattern, p)
			}
		}
	}
	if !found {
		o.say(c.begin, "%s is recorded before it is there", pattern)
	}
}

// mayAnswer checks that what was done is durable when a request is answered
// that did something.
func (o *order) mayAnswer(c *traced) {
	at := o.asked[c.file(0)]
	text := c.text(1)
	if at == 0 || !strings.HasPrefix(text, "HTTP/1.1 30") && !strings.HasPrefix(text, "HTTP/1.1 20") {
		return
	}
	delete(o.asked, c.file(0))
	if o.synced < at {
		o.say(c.begin, "a request is answered before its record is durable")
	}
	if strings.HasPrefix(text, "HTTP/1.1 204") {
		for _, path := range o.unsafe(filepath.Join(o.data, "uploads")) {
			o.say(c.begin, "an upload is acknowledged before %s is durable", path)
		}
	}
}

// ends gives a call its effect.
func (o *order) ends(c *traced) {
	if c.failed {
		return
	}
	switch c.name {
	case "write", "pwrite64", "ftruncate", "fchmod":
		o.changed(c.file(0), c.end)
	case "fchmodat":
		o.changed(c.path(0), c.end)
	case "openat":
		if strings.Contains(c.arg(2), "O_CREAT") && !o.exists[c.path(0)] {
			o.made(c.path(0), c.end)
		}
	case "mkdirat":
		o.made(c.path(0), c.end)
	case "symlinkat":
		o.links[c.path(1)] = c.text(0)
		o.made(c.path(1), c.end)
	case "linkat":
		o.made(c.path(2), c.end)
	case "renameat", "renameat2":
		o.renamed(c.path(0), c.path(2), c.end)
	case "unlinkat":
		o.gone(c.path(0))
	case "fsync", "fdatasync":
		o.sync(c.file(0), c.begin)
	case "syncfs":
		o.sync("", c.begin)
	case "read":
		if text := c.text(1); strings.HasPrefix(text, "POST ") || strings.HasPrefix(text, "PATCH ") {
			o.asked[c.file(0)] = c.begin
		}
	}
}

func (o *order) ours(path string) bool { return strings.HasPrefix(path, o.data+"/") }

func (o *order) changed(path string, at int) {
	if o.ours(path) {
		o.content[path] = at
	}
}

func (o *order) made(path string, at int) {
	if o.ours(path) {
		o.exists[path], o.entry[path] = true, at
	}
}

func (o *order) gone(path string) {
	delete(o.content, path)
	delete(o.entry, path)
	delete(o.exists, path)
}

// renamed moves what is known of from, and of all below it, to to.
func (o *order) renamed(from, to string, at int) {
	if from == to {
		return
	}
	o.content, o.entry, o.exists = moved(o.content, from, to), moved(o.entry, from, to), moved(o.exists, from, to)
	o.links = moved(o.links, from, to)
	o.made(to, at)
}

func moved[V any](all map[string]V, from, to string) map[string]V {
	next := make(map[string]V, len(all))
	for path, v := range all {
		if path == to {
			continue // replaced
		}
		if rest, ok := strings.CutPrefix(path, from); ok && (rest == "" || rest[0] == '/') {
			path = to + rest
		}
		next[path] = v
	}
	return next
}

// sync makes durable what was written before: a file's content, the names in a
// folder, or with "" everything.
func (o *order) sync(path string, before int) {
	for p, at := range o.content {
		if at < before && (path == "" || p == path) {
			delete(o.content, p)
		}
	}
	for p, at := range o.entry {
		if at < before && (path == "" || filepath.Dir(p) == path) {
			delete(o.entry, p)
		}
	}
	if strings.HasSuffix(path, datadir.Database+"-wal") {
		o.synced = max(o.synced, before)
	}
}
