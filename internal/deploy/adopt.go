package deploy

import "slipway/internal/slipway"

// Adopt starts what runs in the background for d, which was added to the store
// without Create: together with the first account, in one transaction.
func (e *Engine) Adopt(d slipway.Deployment) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.open(d)
}
