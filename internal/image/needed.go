package image

// Needed is what a Sweep keeps beside what has a tag of somebody's or was used
// lately.
type Needed struct {
	Digests map[string][]string // that deploys need, by repository: of staged, queued, running and retained ones
	Whole   map[string]bool     // namespaces of which everything is needed
}
