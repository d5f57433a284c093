package slipway

import (
	"fmt"
	"slices"
	"strings"
)

// maxNamed is the number of files named in a warning.
const maxNamed = 10

// Ticks are confirmations by a person beside the deploy.
type Ticks struct {
	RemoveDAGs bool   // confirms that Airflow stops loading these DAG files
	NoDAGs     bool   // yes, deploy without a single DAG file
	Pointers   bool   // yes, deploy pointers of Git LFS in place of files
	Bidi       bool   // yes, deploy lines that may read otherwise than they run
	Invisible  bool   // yes, deploy new files with characters in their names that nobody sees
	Unjudged   bool   // yes, although nobody knows which DAG files Airflow stops loading
	NotAirflow bool   // confirms an image without signs of Airflow
	RunsImage  bool   // yes, somebody restarts Airflow with the image, as nothing else does
	Name       string // the name of the Deployment, typed to take many DAG files from Airflow
	Review     string // ReviewTag of the deploy that they are for; "" for a return
}

// Plan holds the changes of a deploy to the files of a base.
type Plan struct {
	Changes     []Change
	Counts      Counts
	RemovedDAGs []string    // paths of DAG files that are gone
	StoppedDAGs []StopDAG   // DAG files that stay, and that Airflow no longer loads
	NoDAGs      bool        // the new version has no DAG file at all
	Pointers    []string    // paths of new pointers of Git LFS
	Bidi        []string    // paths of texts with bidirectional controls in changed lines
	Invisible   []string    // paths of new files with characters that nobody sees
	Unjudged    string      // why Slipway cannot tell which DAG files Airflow stops loading, in a sentence; "" where it can
	NotAirflow  string      // image without signs of Airflow; "" for none
	DAGs        DAGFiles    // how many Airflow loads
	Deployment  string      // the name to type where the plan wipes; "" where nobody can
	Folder      FolderFiles // in the folder named for the upload
	ByHand      bool        // mounted DAGs are replaced by the DAGs of an image that nothing here applies
}

// DAGFiles counts the DAG files before and after a deploy.
type DAGFiles struct{ Before, After int }

// wipeLeast is the smallest number of lost DAG files for which a tick is not enough.
const wipeLeast = 5

// Lost counts the DAG files that Airflow stops loading.
func (p Plan) Lost() int { return len(p.RemovedDAGs) + len(p.StoppedDAGs) }

// Wipes reports whether p takes at least wipeLeast DAG files from Airflow and leaves
// at most half as many as before: perhaps the wrong archive. Moved files are no loss.
func (p Plan) Wipes() bool {
	return p.Deployment != "" && p.Lost() >= wipeLeast && 2*p.DAGs.After <= p.DAGs.Before
}

// FolderFiles counts the files in a folder before and after a deploy.
type FolderFiles struct{ Before, After int }

// FilesIn counts the files in folder among base and next.
func FilesIn(folder string, base, next []File) FolderFiles {
	count := func(files []File) (n int) {
		for _, f := range files {
			if f.Path != folder && InFolder(folder, f.Path) {
				n++
			}
		}
		return n
	}
	return FolderFiles{count(base), count(next)}
}

// StopDAG is a DAG file that stays in the version, and that Airflow no longer loads.
type StopDAG struct {
	Path string
	Why  Stop
}

// Stop is the reason why Airflow no longer loads a file, as the end of "it is".
type Stop string

// The reasons.
const (
	StopEmpty    Stop = "empty"
	StopPointer  Stop = "a Git LFS pointer"
	StopDangling Stop = "a link to nothing"
	StopIgnored  Stop = "named by .airflowignore"
	StopPlain    Stop = "no DAG file by its content"
)

// String returns s as a warning names the file: "a.py (empty)".
func (s StopDAG) String() string { return Visible(s.Path) + " (" + string(s.Why) + ")" }

// NewPlan compares the files of a base with the new files. Both must be sorted. The
// DAG files are not known yet: WithDAGs adds them.
func NewPlan(base, next []File) Plan {
	p := Plan{Changes: Changes(base, next)}
	var sum ChangeSum
	for _, c := range p.Changes {
		sum.Add(c)
		if c.New.LFS && c.New.SHA256 != c.Old.SHA256 {
			p.Pointers = append(p.Pointers, c.Path)
		}
		if c.Op == Added && Invisible(c.Path) {
			p.Invisible = append(p.Invisible, c.Path)
		}
		if c.New.Bidi && !c.Old.Bidi {
			p.Bidi = append(p.Bidi, c.Path)
		}
	}
	p.Counts = Counts{
		Added: sum.Added, Changed: sum.Changed, Removed: sum.Removed, Modes: sum.Modes,
		Files: len(next), Unchanged: len(next) - sum.Added - sum.Changed,
	}
	return p
}

// MoreBidi reports whether only a comparison of the lines tells if c adds bidirectional
// controls: NewPlan leaves such changes out of Bidi.
func (c Change) MoreBidi() bool { return c.Old.Bidi && c.New.Bidi && c.Old.SHA256 != c.New.SHA256 }

// WithDAGs returns p with the guard of DAG files. before and after are the sorted
// paths of the files that Airflow loads; why gives the reason for a path of before
// that is missing in after, "" for a file that is gone.
func (p Plan) WithDAGs(before, after []string, why func(path string) Stop) Plan {
	p.NoDAGs, p.DAGs = len(after) == 0, DAGFiles{len(before), len(after)}
	for _, path := range before {
		if _, stays := slices.BinarySearch(after, path); stays {
			continue
		}
		if stop := why(path); stop != "" {
			p.StoppedDAGs = append(p.StoppedDAGs, StopDAG{path, stop})
		} else {
			p.RemovedDAGs = append(p.RemovedDAGs, path)
		}
	}
	return p
}

// WithImageDAGs returns p for mounted DAG files, before, in whose place Airflow gets
// the dags folder of an image. in are the files in the folder, perhaps not all.
func (p Plan) WithImageDAGs(before, in []string, all bool) Plan {
	has := map[string]bool{}
	for _, path := range in {
		if has[path] = true; strings.HasSuffix(path, ".py") || strings.HasSuffix(path, ".zip") {
			p.DAGs.After++ // at most: their content is not known
		}
	}
	p.DAGs.Before, p.NoDAGs = len(before), all && p.DAGs.After == 0
	for _, path := range before {
		if !has[path] {
			p.RemovedDAGs = append(p.RemovedDAGs, path)
		}
	}
	if !all && len(p.RemovedDAGs) > 0 {
		p.RemovedDAGs, p.Unjudged = nil, "The files in the dags folder of the image are not all known."
	}
	return p
}

// WithoutDAGs returns p where Slipway cannot tell, for the reason why, which files
// Airflow loads before or after. any reports whether any file might be loaded
// after. A plan that changes no file needs no judgement.
func (p Plan) WithoutDAGs(why string, any bool) Plan {
	p.NoDAGs = !any
	if len(p.Changes) > 0 {
		p.Unjudged = why
	}
	return p
}

// ErrNothingApplies refuses a deploy that would remove mounted DAGs before the
// image with the DAGs runs.
var ErrNothingApplies = &Error{Kind: Conflict, Text: "Nothing here can run the image: give the Deployment an apply command, or connect an agent with --images, so that the mounted DAGs stay until the image that carries them runs."}

// Ticks returns the confirmations needed for p. The typed name stands for the ticks
// about DAG files.
func (p Plan) Ticks() Ticks {
	t := Ticks{
		RemoveDAGs: p.Lost() > 0, NoDAGs: p.NoDAGs, Pointers: len(p.Pointers) > 0, Bidi: len(p.Bidi) > 0,
		Invisible: len(p.Invisible) > 0, Unjudged: p.Unjudged != "",
		NotAirflow: p.NotAirflow != "", RunsImage: p.ByHand,
	}
	if p.Wipes() {
		t.RemoveDAGs, t.NoDAGs, t.Name = false, false, p.Deployment
	}
	return t
}

// Check refuses p while a needed tick is missing from given.
func (p Plan) Check(given Ticks) error {
	switch need := p.Ticks(); {
	case strings.TrimSpace(given.Name) != need.Name && need.Name != "":
		return Errorf(Invalid, "This deploy %s Type the name %q to confirm, or discard the deploy.", p.losesDAGs(), need.Name)
	case need.RemoveDAGs && !given.RemoveDAGs:
		return Errorf(Invalid, "This deploy %s Tick that it may.", p.losesDAGs())
	case need.NoDAGs && !given.NoDAGs:
		return Errorf(Invalid, "This deploy leaves Airflow without a single DAG file. Tick that it may.")
	case need.Pointers && !given.Pointers:
		return Errorf(Invalid, "%s Tick that they may be deployed.", p.bringsPointers())
	case need.Bidi && !given.Bidi:
		return Errorf(Invalid, "%s Tick that they may be deployed.", p.bringsBidi())
	case need.Invisible && !given.Invisible:
		return Errorf(Invalid, "%s Tick that they may be deployed.", p.bringsInvisible())
	case need.Unjudged && !given.Unjudged:
		return Errorf(Invalid, "%s Tick that the deploy may go on.", p.cannotTell())
	case need.NotAirflow && !given.NotAirflow:
		return Errorf(Invalid, "Nothing says that %s is an image of Airflow. Tick that it is.", p.NotAirflow)
	case need.RunsImage && !given.RunsImage:
		return Errorf(Invalid, "%s Or tick that you restart Airflow with it yourself.", ErrNothingApplies.Text)
	}
	return nil
}

// losesDAGs is the end of the sentence about DAG files in a refusal, which leaves
// the names to the page.
func (p Plan) losesDAGs() string {
	switch gone, stopped := len(p.RemovedDAGs), len(p.StoppedDAGs); {
	case gone == 1 && stopped == 0:
		return "removes the DAG file " + Visible(p.RemovedDAGs[0]) + "."
	case stopped == 0:
		return fmt.Sprintf("removes %d DAG files.", gone)
	case gone == 0 && stopped == 1:
		return fmt.Sprintf("keeps Airflow from loading the DAG file %s: it is %s.", Visible(p.StoppedDAGs[0].Path), p.StoppedDAGs[0].Why)
	case gone == 0:
		return fmt.Sprintf("keeps Airflow from loading %d DAG files that stay.", stopped)
	default:
		return fmt.Sprintf("removes DAG files (%d), and keeps Airflow from loading others that stay (%d).", gone, stopped)
	}
}

func (p Plan) bringsPointers() string {
	if len(p.Pointers) == 1 {
		return "The file " + Visible(p.Pointers[0]) + ` is a Git LFS pointer, not the file itself: run "git lfs pull" before packing.`
	}
	return fmt.Sprintf(`%d files are Git LFS pointers, not the files themselves: %s. Run "git lfs pull" before packing.`, len(p.Pointers), named(p.Pointers))
}

func (p Plan) cannotTell() string {
	return "Slipway cannot tell which DAG files Airflow stops loading. " + p.Unjudged
}

func (p Plan) bringsBidi() string {
	return "Changed lines hold bidirectional controls, which can make code look like other code: " + named(p.Bidi) + "."
}

func (p Plan) bringsInvisible() string {
	return "Names of new files have characters that nobody sees, which can make one file look like another: " + named(p.Invisible) + "."
}

// named lists the first names, and counts the others.
func named(names []string) string {
	n := len(names)
	list := Visible(strings.Join(names[:min(n, maxNamed)], ", "))
	if n > maxNamed {
		return fmt.Sprintf("%s and %d more", list, n-maxNamed)
	}
	return list
}

// Warning returns the needed confirmations in sentences; "" for none. Deploys
// of the API carry the warning as a note.
func (p Plan) Warning() string {
	var all []string
	switch n := len(p.RemovedDAGs); {
	case n == 1:
		all = append(all, "It removes the DAG file "+Visible(p.RemovedDAGs[0])+".")
	case n > 1:
		all = append(all, fmt.Sprintf("It removes %d DAG files: %s.", n, named(p.RemovedDAGs)))
	}
	switch n := len(p.StoppedDAGs); {
	case n == 1:
		all = append(all, fmt.Sprintf("Airflow no longer loads the DAG file %s: it is %s.", Visible(p.StoppedDAGs[0].Path), p.StoppedDAGs[0].Why))
	case n > 1:
		names := make([]string, n)
		for i, s := range p.StoppedDAGs {
			names[i] = s.String()
		}
		all = append(all, fmt.Sprintf("Airflow no longer loads %d DAG files: %s.", n, named(names)))
	}
	if p.NoDAGs {
		all = append(all, "It leaves Airflow without a single DAG file.")
	}
	if len(p.Pointers) > 0 {
		all = append(all, p.bringsPointers())
	}
	if len(p.Bidi) > 0 {
		all = append(all, p.bringsBidi())
	}
	if len(p.Invisible) > 0 {
		all = append(all, p.bringsInvisible())
	}
	if p.Unjudged != "" {
		all = append(all, p.cannotTell())
	}
	if p.NotAirflow != "" {
		all = append(all, "Nothing says that "+p.NotAirflow+" is an image of Airflow.")
	}
	if p.ByHand {
		all = append(all, "Nothing here can run its image: until somebody restarts Airflow with it, DAGs may be missing.")
	}
	return strings.Join(all, " ")
}
