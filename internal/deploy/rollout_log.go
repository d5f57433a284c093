package deploy

import (
	"context"

	"slipway/internal/slipway"
	"slipway/store"
)

// Log adds what the agent of a component says to the log of the deploy that
// rolls out now. While none does nobody hears it.
func (p *LocalPortal) Log(ctx context.Context, component string, lines []string) error {
	heard := false
	err := p.e.store.Update(ctx, func(tx *store.Tx) error {
		w, found, err := tx.Rolling(p.of)
		if err != nil || !found {
			return err
		}
		heard = true
		return addLog(tx, w, component, lines)
	})
	if err == nil && heard {
		p.e.watchers.notify(p.of)
	}
	return err
}

// addLog keeps lines as long as there are not too many.
func addLog(tx *store.Tx, w slipway.Deploy, component string, lines []string) error {
	full, err := tx.Log(w.ID, logLines-1, 1)
	if err != nil || len(full) > 0 {
		return err
	}
	texts := make([]string, len(lines))
	for i, text := range lines {
		texts[i] = component + ": " + plain(text)
	}
	return tx.AddLog(w.ID, texts)
}
