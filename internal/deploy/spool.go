package deploy

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"slipway/internal/datadir"
)

// Spool keeps on disk what has to wait until more is known of it. It has no
// name there, so nothing is left of it however the process ends.
type Spool struct {
	*os.File
	e *Engine
}

// Spool returns an empty one, to be closed.
func (e *Engine) Spool() (*Spool, error) {
	f, err := os.CreateTemp(filepath.Join(e.cfg.Dir, datadir.Uploads), "form-*")
	if err != nil {
		return nil, outage(fmt.Errorf("make a spool: %w", err))
	}
	return &Spool{f, e}, os.Remove(f.Name()) // it lives on while it is open
}

// Take appends what r brings, and stops before the disk falls under its
// reserve.
func (s *Spool) Take(r io.Reader) (int64, error) {
	n, err := s.e.copyIn(s.File, r)
	return n, outage(err)
}
