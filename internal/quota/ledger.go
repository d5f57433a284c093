// Package quota shares the disk of the portal among uploads: a reserve stays
// free, and unfinished uploads of one person or Workspace leave room for others.
package quota

import (
	"slices"
	"sync"
	"time"

	"slipway/internal/slipway"
)

// Holder is the owner of an upload. An empty Person or Workspace has no share.
type Holder struct {
	Person     string // a user; a token shares with the person who issued or rotated the token
	Sender     string // a user or a token: refusals name only deploys of the same Sender
	Workspace  slipway.WorkspaceID
	Deployment slipway.DeploymentID
	Deploy     slipway.DeployID // "" for a file of no deploy
	Name       string           // of the deploy, for people: "#12 of sales"
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
func (l *Ledger) Open(id string, h Holder, announced int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	space, err := l.space(h)
	if err != nil {
		return err
	}
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

// kept precedes the deploy in the key of what the deploy keeps. No id of an upload
// begins like this.
const kept = "kept:"

// Hold counts the bytes that a deploy keeps on the disk besides uploads, until
// End: a pack, an image, records.
func (l *Ledger) Hold(h Holder, bytes int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.add(kept+string(h.Deploy), &entry{Holder: h, bytes: bytes})
}

// End removes everything of a deploy that is confirmed or has ended.
func (l *Ledger) End(deploy slipway.DeployID) {
	l.endIf(func(e *entry) bool { return e.Deploy == deploy })
}

// EndAll removes all deploys of a Deployment.
func (l *Ledger) EndAll(of slipway.DeploymentID) {
	l.endIf(func(e *entry) bool { return e.Deployment == of })
}

func (l *Ledger) endIf(over func(*entry) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, e := range l.uploads {
		if over(e) {
			l.remove(id)
		}
	}
}

// Close removes an upload that has ended: no Writer writes another byte.
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
	if err := l.claim("", "", bytes); err != nil {
		return nil, err
	}
	return sync.OnceFunc(func() { l.written(bytes) }), nil
}

// Takes returns nil if an upload is open. name is the upload's, for people.
func (l *Ledger) Takes(id, name string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := l.open(id, name)
	return err
}

// open returns the entry of an upload that is open; nil for writers of the portal
// itself.
func (l *Ledger) open(id, name string) (*entry, error) {
	e := l.uploads[id]
	if e == nil && id != "" {
		return nil, Over(name)
	}
	return e, nil
}

// Over is the refusal of bytes for an upload that has ended. name is that of the
// deploy, "" for a file of no deploy.
func Over(name string) error {
	if name == "" {
		return slipway.Errorf(slipway.Conflict, "This upload has ended and takes no more bytes. Begin it again.")
	}
	return slipway.Errorf(slipway.Conflict, "Deploy %s takes no more files: they are complete, or the deploy was cancelled or has failed. Make a new deploy for other files.", name)
}

// claim grants bytes to an upload before they are written; id is "" for
// writers of the portal itself.
func (l *Ledger) claim(id, name string, bytes int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, err := l.open(id, name)
	switch {
	case err != nil:
	case e == nil || bytes <= e.promise():
		err = l.fits(bytes)
	default:
		var space slipway.UploadSpace
		if space, err = l.space(e.Holder); err == nil {
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

// space returns the disk as seen by a holder. A deploy counts once, whatever the
// number of files. In numbers and names, the holder's own deploy does not count, as
// no cancelling helps there, nor do files of no deploy.
func (l *Ledger) space(h Holder) (s slipway.UploadSpace, err error) {
	free, err := l.free()
	if err != nil {
		return s, err
	}
	s = slipway.UploadSpace{Free: free - l.claimed, Reserve: l.reserve, Promised: l.promised}
	deploys := map[slipway.DeployID]bool{"": true, h.Deploy: true} // counted, or not to be counted
	for _, e := range l.uploads {
		s.Held += e.bytes
		isPerson := h.Person != "" && e.Person == h.Person
		isWorkspace := h.Workspace != "" && e.Workspace == h.Workspace
		if !isPerson && !isWorkspace {
			continue
		}
		use := slipway.DiskUse{Bytes: e.use()}
		if !deploys[e.Deploy] {
			deploys[e.Deploy], use.Uploads = true, 1
		}
		if isPerson {
			s.Person = s.Person.Plus(use)
		}
		if isPerson && use.Uploads > 0 && e.Sender == h.Sender {
			s.Names = append(s.Names, e.Name)
		}
		if isWorkspace {
			s.Workspace = s.Workspace.Plus(use)
		}
	}
	slices.Sort(s.Names)
	return s, nil
}
