// Package quota shares the disk of the portal among uploads: a reserve stays
// free, and unfinished uploads of one person or Workspace leave room for others.
package quota

import (
	"slices"
	"strings"
	"sync"
	"time"

	"slipway/internal/slipway"
)

// Holder is the owner of an upload. An empty Person or Workspace has no share.
type Holder struct {
	Person    string // a user or a token
	Workspace slipway.WorkspaceID
	Name      string // of the deploy, for people: "#12 of sales"
}

// HolderOf returns the Holder of an upload by an actor.
func HolderOf(by slipway.Actor, of slipway.WorkspaceID, name string) Holder {
	return Holder{Person: string(by.User) + "/" + string(by.Token), Workspace: of, Name: name}
}

// Ledger holds the disk space of unfinished uploads. All checks happen under one
// lock, so that parallel requests never claim the same bytes.
type Ledger struct {
	free    func() (int64, error) // bytes free on the disk
	now     func() time.Time
	reserve int64

	mu       sync.Mutex
	uploads  map[string]*entry
	claimed  int64 // bytes granted, and not on the disk yet
	promised int64 // bytes announced by uploads, and not granted yet
}

// entry is the space of one upload.
type entry struct {
	Holder
	announced int64     // 0 when unknown
	bytes     int64     // granted
	until     time.Time // of pushes: when they no longer count
}

// promise is the rest of the announced bytes.
func (e *entry) promise() int64 { return max(e.announced-e.bytes, 0) }

// use is the space of an upload as counted for shares.
func (e *entry) use() int64 { return max(e.announced, e.bytes) }

// New returns an empty Ledger for a disk with free bytes, of which reserve bytes
// stay free.
func New(free func() (int64, error), reserve int64) *Ledger {
	return &Ledger{free: free, now: time.Now, reserve: reserve, uploads: map[string]*entry{}}
}

// Open adds an upload of announced bytes, 0 when unknown, or refuses the upload.
// staged is the use by the holder's deploys that were staged and wait for a
// confirmation.
func (l *Ledger) Open(id string, h Holder, announced int64, staged slipway.UploadUse) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	space, err := l.space(h, nil)
	if err != nil {
		return err
	}
	space.Person, space.Workspace = space.Person.Plus(staged.Person), space.Workspace.Plus(staged.Workspace)
	space.Held += staged.All
	if err := space.Admit(announced); err != nil {
		return err
	}
	l.add(id, &entry{Holder: h, announced: announced})
	return nil
}

// Restore adds an upload with bytes on the disk, after a restart.
func (l *Ledger) Restore(id string, h Holder, announced, bytes int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.add(id, &entry{Holder: h, announced: announced, bytes: bytes})
}

func (l *Ledger) add(id string, e *entry) {
	l.remove(id)
	l.uploads[id] = e
	l.promised += e.promise()
}

// Close removes an upload whose files are gone, or count elsewhere from now on.
func (l *Ledger) Close(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.remove(id)
}

func (l *Ledger) remove(id string) {
	if e := l.uploads[id]; e != nil {
		l.promised -= e.promise()
		delete(l.uploads, id)
	}
}

// Fits refuses bytes more that no upload announced: the disk would fall under
// the reserve.
func (l *Ledger) Fits(bytes int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fits(bytes)
}

func (l *Ledger) fits(bytes int64) error {
	free, err := l.free()
	if err != nil {
		return err
	}
	return slipway.UploadSpace{Free: free - l.claimed, Reserve: l.reserve}.Fits(bytes)
}

// Claim grants bytes to a writer of the portal itself. The writer calls release
// after writing, or without.
func (l *Ledger) Claim(bytes int64) (release func(), err error) {
	if err := l.claim("", bytes); err != nil {
		return nil, err
	}
	return sync.OnceFunc(func() { l.written(bytes) }), nil
}

// claim grants bytes to an upload before they are written; id is "" for
// writers of the portal itself.
func (l *Ledger) claim(id string, bytes int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.uploads[id]
	var err error
	switch {
	case e == nil || bytes <= e.promise():
		err = l.fits(bytes)
	default:
		var space slipway.UploadSpace
		if space, err = l.space(e.Holder, e); err == nil {
			err = space.Grow(bytes - e.promise())
		}
	}
	if err != nil {
		return err
	}
	l.claimed += bytes
	l.grow(e, bytes)
	return nil
}

// written turns claimed bytes into bytes on the disk.
func (l *Ledger) written(bytes int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.claimed -= bytes
}

// unclaim returns claimed bytes that were not written.
func (l *Ledger) unclaim(id string, bytes int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.claimed -= bytes
	l.grow(l.uploads[id], -bytes)
}

// Return takes bytes of an upload that were removed from the disk.
func (l *Ledger) Return(id string, bytes int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.grow(l.uploads[id], -bytes)
}

func (l *Ledger) grow(e *entry, bytes int64) {
	if e == nil {
		return
	}
	before := e.promise()
	e.bytes = max(e.bytes+bytes, 0)
	l.promised += e.promise() - before
}

// space returns the disk as seen by a holder. The bytes of the entry own count,
// but own is not one of the uploads that the holder could cancel; nor are files
// without a name.
func (l *Ledger) space(h Holder, own *entry) (s slipway.UploadSpace, err error) {
	free, err := l.free()
	if err != nil {
		return s, err
	}
	s = slipway.UploadSpace{Free: free - l.claimed, Reserve: l.reserve, Promised: l.promised}
	for _, e := range l.uploads {
		s.Held += e.bytes
		use := slipway.DiskUse{Bytes: e.use()}
		if e != own && e.Name != "" {
			use.Uploads = 1
		}
		if h.Person != "" && e.Person == h.Person {
			s.Person = s.Person.Plus(use)
			s.Names = append(s.Names, e.Name)
		}
		if h.Workspace != "" && e.Workspace == h.Workspace {
			s.Workspace = s.Workspace.Plus(use)
		}
	}
	s.Names = slices.DeleteFunc(s.Names, func(name string) bool { return name == "" || name == h.Name })
	slices.SortFunc(s.Names, strings.Compare)
	return s, nil
}
