package quota

import (
	"strconv"
	"time"
)

// pushTime is how long pushed bytes count: the registry sweeps what nothing uses
// after the same time.
const pushTime = 24 * time.Hour

// Pushes are the bytes that one holder pushes to the registry. For 24 hours they
// count like unfinished uploads, as long as the process runs.
type Pushes struct {
	ledger *Ledger
	holder Holder
}

// Pushes returns the Pushes of a holder.
func (l *Ledger) Pushes(h Holder) Pushes {
	return Pushes{l, h}
}

// Take counts bytes before they are written, or refuses them.
func (p Pushes) Take(bytes int64) error {
	l := p.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	for id, e := range l.uploads {
		if !e.until.IsZero() && now.After(e.until) {
			l.remove(id)
		}
	}
	space, err := l.space(p.holder)
	if err != nil {
		return err
	}
	if err := space.Push(bytes); err != nil {
		return err
	}
	id := p.id(now)
	if l.uploads[id] == nil {
		l.add(id, &entry{Holder: p.holder, until: now.Truncate(time.Hour).Add(time.Hour + pushTime)})
	}
	l.grow(l.uploads[id], bytes)
	return nil
}

// Return takes back bytes that were not written, or not kept: of the last hours
// first.
func (p Pushes) Return(bytes int64) {
	l := p.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	for at := l.now(); bytes > 0 && l.now().Sub(at) <= pushTime; at = at.Add(-time.Hour) {
		if e := l.uploads[p.id(at)]; e != nil {
			n := min(bytes, e.bytes)
			l.grow(e, -n)
			bytes -= n
		}
	}
}

// id names the entry of an hour. No upload has such a name.
func (p Pushes) id(at time.Time) string {
	return "push/" + p.holder.Person + "/" + string(p.holder.Workspace) + "/" + strconv.FormatInt(at.Unix()/3600, 10)
}
