package image

// dagLayer is what one layer says of a folder.
type dagLayer struct {
	here  map[string]dagEntry
	hard  map[string]string // hard links to their targets
	hides map[string]bool
	clear map[string]bool
	over  bool // the layers below do not count: a folder of the way is new
}

func newDagLayer() *dagLayer {
	return &dagLayer{here: map[string]dagEntry{}, hard: map[string]string{}, hides: map[string]bool{}, clear: map[string]bool{}}
}

func (l *dagLayer) fill(got map[string]dagEntry, wanted map[string]bool) {
	for name, target := range l.hard {
		if item, ok := got[target]; ok {
			l.here[name] = item
			delete(wanted, target)
		}
	}
}
