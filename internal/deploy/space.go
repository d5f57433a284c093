package deploy

import "slipway/internal/bundle"

// Free returns how many bytes may still be written to the disk of the data
// folder.
func (e *Engine) Free() (int64, error) { return bundle.Free(e.cfg.Dir) }
