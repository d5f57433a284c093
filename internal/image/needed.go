package image

import (
	"path/filepath"
	"strings"
)

// Needed is what a Sweep keeps beside what has a tag of somebody's or was used
// lately.
type Needed struct {
	Digests map[string][]string // that deploys need, by repository: of staged, queued, running and retained ones
	Whole   map[string]bool     // namespaces of which everything is needed
}

// whole reports whether everything of a repository is needed.
func (w *sweep) whole(repository string) bool {
	namespace, _, _ := strings.Cut(repository, "/")
	return w.keep.Whole[namespace]
}

// needLayers marks all layers of a repository.
func (w *sweep) needLayers(repository string) error {
	return w.eachDigest(filepath.Join(w.s.repositoryDir(repository), "_layers", "sha256"), func(_, hex string) error {
		w.links[repository+"@sha256:"+hex], w.blobs["sha256:"+hex] = true, true
		return nil
	})
}
