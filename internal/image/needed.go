package image

// Needed lists the images that a Sweep keeps, besides tagged and recently used
// ones.
type Needed struct {
	Digests map[string][]string // digests of staged, queued, running and retained deploys, by repository
	Whole   map[string]bool     // namespaces to keep whole
}
