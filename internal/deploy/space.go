package deploy

import "slipway/internal/durable"

// Free returns how many bytes may still be written to the disk of the data
// folder.
func (e *Engine) Free() (int64, error) { return durable.FreeSpace(e.cfg.Dir) }
