package crash

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"slipway/internal/slipway"
)

// model is what a portal has acknowledged over all its lives.
type model struct {
	mu       sync.Mutex
	clock    int // grows with each thing that is sent or acknowledged
	deploys  map[deployKey]*acked
	versions map[versionKey]listing // as they were seen first
	switched map[slipway.DeploymentID]int
	keep     map[slipway.DeploymentID][]int // settings: what was acknowledged last, and what was sent since
	keyed    []keyedDeploy                  // requests to the API whose answers never came
	accepted map[string]int                 // deploys that were accepted over the API, by how they came
}

// count notes that a deploy was accepted that came in a certain way.
func (m *model) count(how string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.accepted[how]++
}

type deployKey struct {
	of     slipway.DeploymentID
	number int
}

type versionKey struct {
	of slipway.DeploymentID
	v  slipway.Version
}

// acked is what was acknowledged of a deploy. The times are the model's, 0 for
// never.
type acked struct {
	merge               slipway.Merge
	files               listing // that were uploaded; nil for a return
	returnTo            int
	version             slipway.Version // as it was seen first
	mine                bool            // its number was told to whoever made it
	refused             string          // why its finalize was refused: the sentence that was answered
	arrived             bool            // all bytes are there
	sent, confirmed     int
	cancelSent, dropped bool // dropped: the cancellation was acknowledged
}

// listing is the files of a version: by path, what they are.
type listing map[string]string

func newModel() *model {
	return &model{
		deploys: map[deployKey]*acked{}, versions: map[versionKey]listing{},
		switched: map[slipway.DeploymentID]int{}, keep: map[slipway.DeploymentID][]int{}, accepted: map[string]int{},
	}
}

// now returns a new time.
func (m *model) now() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clock++
	return m.clock
}

// note changes what is known of a deploy.
func (m *model) note(of slipway.DeploymentID, number int, change func(a *acked, now int)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := deployKey{of, number}
	if m.deploys[key] == nil {
		m.deploys[key] = &acked{}
	}
	m.clock++
	change(m.deploys[key], m.clock)
}

// described is a file as listings have it.
func described(sha, link string, exec bool) string {
	if link != "" {
		return "link to " + link
	}
	return fmt.Sprintf("%s exec=%t", sha, exec)
}

func listingOf(files []slipway.File) listing {
	l := listing{}
	for _, f := range files {
		l[f.Path] = described(f.SHA256, f.Link, f.Exec)
	}
	return l
}

// differ says in a few words how two listings differ, "" if they do not.
func differ(got, want listing) string {
	var all []string
	for p, w := range want {
		if g, ok := got[p]; !ok {
			all = append(all, "lacks "+p)
		} else if g != w {
			all = append(all, fmt.Sprintf("%s is %s, want %s", p, g, w))
		}
	}
	for p := range got {
		if _, ok := want[p]; !ok {
			all = append(all, "has "+p)
		}
	}
	slices.Sort(all)
	if len(all) > 5 {
		all = append(all[:5], fmt.Sprintf("and %d more", len(all)-5))
	}
	return strings.Join(all, ", ")
}

// check compares what was acknowledged with the records. settled says that
// all that goes on by itself has done so.
func (m *model) check(f facts, settled bool) (wrong []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := map[deployKey]slipway.Deploy{}
	for _, d := range f.deployments {
		for _, w := range f.deploys[d.ID] {
			found[deployKey{d.ID, w.Number}] = w
		}
		wrong = append(wrong, numbering(f.deploys[d.ID])...)
		wrong = append(wrong, turns(f.deploys[d.ID])...)
		if n := len(f.switches[d.ID]) + f.waiting[d.ID]; n < m.switched[d.ID] {
			wrong = append(wrong, fmt.Sprintf("%s has %d switches, %d were acknowledged", d.Namespace, n, m.switched[d.ID]))
		}
		if allowed := m.keep[d.ID]; len(allowed) > 0 && !slices.Contains(allowed, d.KeepVersions) {
			wrong = append(wrong, fmt.Sprintf("%s keeps %d versions, acknowledged was %v", d.Namespace, d.KeepVersions, allowed))
		}
	}
	for key, a := range m.deploys {
		w, ok := found[key]
		if !ok {
			wrong = append(wrong, fmt.Sprintf("deploy #%d of %s was acknowledged and is gone", key.number, key.of))
			continue
		}
		wrong = append(wrong, a.check(w, settled)...)
	}
	wrong = append(wrong, onceEach(f)...)
	return append(wrong, m.ordered(found)...)
}

// check compares a deploy with what was acknowledged of it.
func (a *acked) check(w slipway.Deploy, settled bool) (wrong []string) {
	say := func(format string, args ...any) {
		wrong = append(wrong, fmt.Sprintf("deploy #%d of %s, %s (%s): ", w.Number, w.Deployment, w.Status, w.Reason)+fmt.Sprintf(format, args...))
	}
	if a.version == "" {
		a.version = w.Version
	}
	refused := mayRefuse.MatchString(w.Reason)
	overtaken := strings.HasPrefix(w.Reason, "A deploy before it in the queue failed or was cancelled")
	switch {
	case a.refused != "" && (w.Position != 0 || !w.Status.Ended()):
		say("its finalize was refused: %s", a.refused)
	case a.refused != "" && w.Status == slipway.Failed && !strings.Contains(a.refused, w.Reason):
		say("its sender was told %q", a.refused)
	case w.Version != a.version:
		say("its version was %s and is %s", a.version, w.Version)
	case a.mine && w.ReturnTo != a.returnTo:
		say("it returns to #%d, want #%d", w.ReturnTo, a.returnTo)
	case a.dropped && w.Status != slipway.Cancelled:
		say("its cancellation was acknowledged")
	case w.Status == slipway.Cancelled && !a.cancelSent:
		say("nobody cancelled it")
	case a.mine && w.Status == slipway.Failed && (a.confirmed > 0 || !refused) && !overtaken:
		say("it should not have failed")
	case a.confirmed > 0 && !a.cancelSent && w.Position == 0:
		say("its confirmation was acknowledged")
	case settled && a.confirmed > 0 && !a.cancelSent && w.Status != slipway.Deployed && !overtaken:
		say("it was confirmed and is not deployed")
	case settled && a.arrived && w.Status == slipway.Initialized:
		say("its upload is complete and it is not staged")
	case a.mine && a.sent == 0 && w.Position != 0:
		say("nobody confirmed it")
	}
	return wrong
}

// mayRefuse is why a deploy may be refused after it was made.
var mayRefuse = regexp.MustCompile(switchedOff)

// ordered checks that a deploy which was confirmed when another was
// acknowledged goes live after it.
func (m *model) ordered(found map[deployKey]slipway.Deploy) (wrong []string) {
	by := map[slipway.DeploymentID][]deployKey{}
	for key, a := range m.deploys {
		if a.confirmed > 0 {
			by[key.of] = append(by[key.of], key)
		}
	}
	for _, keys := range by {
		slices.SortFunc(keys, func(a, b deployKey) int { return m.deploys[a].sent - m.deploys[b].sent })
		for i, later := range keys {
			for _, earlier := range keys[:i] {
				if m.deploys[earlier].confirmed < m.deploys[later].sent && found[earlier].Position > found[later].Position {
					wrong = append(wrong, fmt.Sprintf("#%d of %s was acknowledged before #%d was confirmed, and comes after it", earlier.number, later.of, later.number))
				}
			}
		}
	}
	return wrong
}

// numbering checks that numbers and minted versions are unique and grow.
func numbering(all []slipway.Deploy) (wrong []string) {
	var last slipway.Version
	for i, w := range all {
		if w.Number != i+1 {
			wrong = append(wrong, fmt.Sprintf("deploy %d of %s has the number %d", i+1, w.Deployment, w.Number))
		}
		if w.ReturnTo != 0 || w.Kind == slipway.ImageOnly {
			continue
		}
		if w.Version <= last {
			wrong = append(wrong, fmt.Sprintf("#%d of %s has version %s after %s", w.Number, w.Deployment, w.Version, last))
		}
		last = w.Version
	}
	return wrong
}

// turns checks that deploys went live, and ended, in the order of the queue.
func turns(all []slipway.Deploy) (wrong []string) {
	var queue []slipway.Deploy
	for _, w := range all {
		if w.Position > 0 {
			queue = append(queue, w)
		}
	}
	slices.SortFunc(queue, func(a, b slipway.Deploy) int { return int(a.Position - b.Position) })
	var before slipway.Deploy
	running := 0
	for _, w := range queue {
		if w.Status == slipway.Deploying {
			running++
		}
		if w.Status == slipway.Cancelled {
			continue
		}
		if w.WentLive() && (before.Status.Active() || w.LiveAt.Before(before.LiveAt)) || w.Position == before.Position {
			wrong = append(wrong, fmt.Sprintf("#%d of %s went live before its turn: #%d is %s", w.Number, w.Deployment, before.Number, before.Status))
		}
		before = w
	}
	if running > 1 {
		wrong = append(wrong, fmt.Sprintf("%d deploys of %s run at once", running, all[0].Deployment))
	}
	return wrong
}

// contents checks that each version that was brought is what its upload makes
// of the version before it.
func (m *model) contents(f facts) (wrong []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, a := range m.deploys {
		w := f.deploys[key.of][key.number-1]
		got, seen := m.versions[versionKey{key.of, w.Version}]
		if a.files == nil || !seen || !w.WentLive() {
			continue
		}
		want := maps.Clone(a.files)
		if a.merge == slipway.AddFiles {
			base, known := m.versions[versionKey{key.of, w.Base}]
			if !known && w.Base != "" {
				continue // it expired before it was ever looked at
			}
			want = maps.Clone(base)
			if want == nil {
				want = listing{}
			}
			maps.Copy(want, a.files)
		}
		if diff := differ(got, want); diff != "" {
			wrong = append(wrong, fmt.Sprintf("version %s of #%d is not what was uploaded: it %s", w.Version, w.Number, diff))
		}
	}
	return wrong
}
