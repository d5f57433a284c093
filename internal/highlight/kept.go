package highlight

import (
	"crypto/sha256"
	"slices"
	"sync"

	"slipway/internal/slipway"
)

// Limits of what a Reader keeps: about 10 MB.
const (
	keptTexts = 64
	keptLines = 50_000
)

// kept are the texts that were read last: a page that opens more lines of a file asks
// for the same text again.
type kept struct {
	mu   sync.Mutex
	list []keptText // last used first
}

type keptText struct {
	key  [sha256.Size]byte
	inks [][]slipway.Ink
}

func keyOf(language, text string) [sha256.Size]byte {
	return sha256.Sum256([]byte(language + "\x00" + text))
}

func (k *kept) find(key [sha256.Size]byte) (inks [][]slipway.Ink, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	i := slices.IndexFunc(k.list, func(t keptText) bool { return t.key == key })
	if i < 0 {
		return nil, false
	}
	found := k.list[i]
	k.list = slices.Insert(slices.Delete(k.list, i, i+1), 0, found)
	return found.inks, true
}

func (k *kept) put(key [sha256.Size]byte, inks [][]slipway.Ink) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.list = slices.Insert(k.list, 0, keptText{key, inks})
	lines := 0
	for i, t := range k.list {
		if lines += len(t.inks); i > 0 && (i >= keptTexts || lines > keptLines) {
			k.list = slices.Delete(k.list, i, len(k.list))
			return
		}
	}
}
