package views

import (
	"cmp"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	"slipway/internal/slipway"
)

// maxGone is the most names of DAG files in a review.
const maxGone = 500

// tonedText is a part of a sentence with its tone: "ok", "busy", "bad", or "" for none.
type tonedText struct{ Tone, Text string }

// AgainstImage is the base of a switch that takes the DAGs of the image.
const AgainstImage = "against the image that Airflow runs"

// SameText names the version with the same files, "" for the DAGs of an image alone.
func SameText(v slipway.Version) string {
	if v == "" {
		return "that Airflow reads from the image"
	}
	return "as version " + v.Short()
}

// verdictParts says in words what becomes of the files.
func verdictParts(c slipway.Counts) (all []tonedText) {
	noun := func(n int, verb, verbs string) string {
		text := Number(n)
		if len(all) == 0 {
			text = Count(n, "file")
		}
		if n == 1 {
			return text + " " + verb
		}
		return text + " " + verbs
	}
	if n := c.Changed; n > 0 {
		text := noun(n, "changes", "change")
		switch {
		case c.Modes == n:
			text += " by mode alone"
		case c.Modes > 0:
			text += " (" + Number(c.Modes) + " by mode alone)"
		}
		all = append(all, tonedText{"busy", text})
	}
	if n := c.Added; n > 0 {
		all = append(all, tonedText{"ok", noun(n, "is new", "are new")})
	}
	if n := c.Removed; n > 0 {
		all = append(all, tonedText{"bad", noun(n, "is removed", "are removed")})
	}
	return all
}

// restText says what stays, and what has to be stored.
func restText(r Review) string {
	var all []string
	switch n := r.Counts.Unchanged; {
	case n == 1:
		all = append(all, "1 file stays as it is")
	case n > 1:
		all = append(all, Number(n)+" files stay as they are")
	}
	if r.NewBytes > 0 {
		all = append(all, Bytes(r.NewBytes)+" to store, compressed")
	}
	return strings.Join(all, " · ")
}

// errors and warnings count the entries of the list of problems.
func (r Review) errors() (n int) {
	for _, on := range []bool{len(r.Pointers) > 0, len(r.Bidi) > 0, len(r.Invisible) > 0, r.Unjudged != "", r.NoDAGs, r.ByHand} {
		if on {
			n++
		}
	}
	return n + r.asked()
}

// asked counts the names without a place.
func (r Review) asked() (n int) {
	for _, l := range r.Landing {
		if l.Asks {
			n++
		}
	}
	return n
}

func (r Review) warnings() int {
	n := len(r.Reminders) + len(r.Landing) - r.asked()
	for _, on := range []bool{r.losesSome(), r.NotAirflow != "", len(r.Older) > 0} {
		if on {
			n++
		}
	}
	return n
}

// losesSome reports whether a tick is asked for DAG files that go.
func (r Review) losesSome() bool { return r.Wipe == nil && r.lost() > 0 }

// losesToImage reports whether Airflow loses DAG files to the image that carries the
// DAGs, or all of them until somebody restarts it.
func (r Review) losesToImage() bool { return r.ToImage && (r.lost() > 0 || r.ByHand) }

// keepsInImage says how DAG files stay that an image does not have.
const keepsInImage = "To keep them, put them into the image, or discard this deploy and let Slipway put them in: Do it for me, on the page of the switch."

func (r Review) lost() int { return len(r.RemovedDAGs) + len(r.StoppedDAGs) }

// problemSum counts the problems in words: "1 error, 3 warnings".
func problemSum(r Review) string {
	var all []string
	if n := r.errors(); n > 0 {
		all = append(all, Count(n, "error"))
	}
	if n := r.warnings(); n > 0 {
		all = append(all, Count(n, "warning"))
	}
	return strings.Join(all, ", ")
}

// consents counts the boxes to be ticked.
func (r Review) consents() int {
	n := r.errors() - r.asked()
	if r.losesSome() {
		n++
	}
	if r.NotAirflow != "" {
		n++
	}
	return n
}

// consentText asks for the boxes to be ticked.
func consentText(r Review) string {
	if r.consents() == 1 {
		return "1 tick is needed"
	}
	return Number(r.consents()) + " ticks are needed"
}

// NewLandings describes where names of the upload of w go.
func NewLandings(w slipway.Deploy) (all []Landing) {
	if w.Landing == nil {
		return nil
	}
	for _, l := range *w.Landing {
		at := func(folder string) string { return path.Join("dags", folder, l.Names[0]) }
		v := Landing{Names: l.Names, Own: at(w.Folder), OwnDir: w.Folder, More: l.More, Asks: l.Asks, Chosen: at(l.Folder), Replace: !l.Asks && l.Folder != w.Folder}
		for _, folder := range l.Folders {
			v.At = append(v.At, Option{Value: folder, Text: at(folder), Chosen: folder == l.Folder})
		}
		all = append(all, v)
	}
	return all
}

// query names the choice of a folder for the names.
func (l Landing) query(folder string) string {
	return url.Values{"name": l.Names[:1], "to": {"in:" + folder}}.Encode()
}

// title says in a few words where the names go.
func (l Landing) title() string {
	name := slipway.Visible(l.Names[0])
	verb, them := "goes", "stands"
	if more := len(l.Names) - 1; more > 0 {
		name += " and " + Number(more) + " more"
		verb, them = "go", "stand"
	}
	switch {
	case l.Asks && len(l.At)+l.More == 1:
		return fmt.Sprintf("%s %s at %s: is it that one?", name, them, slipway.Visible(l.At[0].Text))
	case l.Asks:
		return fmt.Sprintf("%s %s at %d places: which one is it?", name, them, len(l.At)+l.More)
	case l.Replace:
		return fmt.Sprintf("%s %s to %s, where this name stands today", name, verb, slipway.Visible(strings.TrimSuffix(l.Chosen, "/"+l.Names[0])+"/"))
	}
	return fmt.Sprintf("%s %s beside %s as a new file", name, verb, slipway.Visible(l.At[0].Text))
}

// lossTitle says how many DAG files go, of which kind.
func lossTitle(r Review) string {
	gone, stopped := len(r.RemovedDAGs), len(r.StoppedDAGs)
	switch {
	case r.ToImage && gone == 1:
		return "1 DAG file is not in the image: Airflow loses it"
	case r.ToImage:
		return Number(gone) + " DAG files are not in the image: Airflow loses them"
	case stopped == 0 && gone == 1:
		return "1 DAG file is removed"
	case stopped == 0:
		return Number(gone) + " DAG files are removed"
	case gone == 0 && stopped == 1:
		return "Airflow stops loading 1 DAG file that stays"
	case gone == 0:
		return "Airflow stops loading " + Number(stopped) + " DAG files that stay"
	}
	return Count(gone, "DAG file") + " removed, and " + Number(stopped) + " that stay no longer loaded by Airflow"
}

// lossTick is the consent to lossTitle.
func lossTick(r Review) string {
	gone, stopped := len(r.RemovedDAGs), len(r.StoppedDAGs)
	remove := "remove the DAG file " + slipway.Visible(cmp.Or(append(slices.Clone(r.RemovedDAGs), "")...))
	if gone > 1 {
		remove = "remove these " + Number(gone) + " DAG files"
	}
	stop := "let Airflow stop loading " + Count(stopped, "DAG file")
	switch {
	case r.ToImage:
		return "Yes, Airflow may lose " + Count(gone, "DAG file")
	case stopped == 0:
		return "Yes, " + remove
	case gone == 0:
		return "Yes, " + stop
	}
	return "Yes, " + remove + ", and " + stop
}

// stopGroup are the DAG files that Airflow stops loading for one reason.
type stopGroup struct {
	Why   string
	Paths []string
}

// stopGroups groups DAG files by the reason, most files first.
func stopGroups(all []slipway.StopDAG) (groups []stopGroup) {
	for _, s := range all {
		i := slices.IndexFunc(groups, func(g stopGroup) bool { return g.Why == string(s.Why) })
		if i < 0 {
			i, groups = len(groups), append(groups, stopGroup{Why: string(s.Why)})
		}
		groups[i].Paths = append(groups[i].Paths, s.Path)
	}
	slices.SortStableFunc(groups, func(a, b stopGroup) int { return len(b.Paths) - len(a.Paths) })
	return groups
}

// nameGroup are the names in one folder.
type nameGroup struct {
	Folder string // "sales/"; "" for dags itself
	Names  []string
}

// nameGroups groups the first maxGone paths by folder.
func nameGroups(paths []string) (groups []nameGroup, more int) {
	paths = slices.Clone(paths)
	slices.Sort(paths)
	shown := min(len(paths), maxGone)
	for _, p := range paths[:shown] {
		folder, name := path.Split(p)
		i := slices.IndexFunc(groups, func(g nameGroup) bool { return g.Folder == folder })
		if i < 0 {
			i, groups = len(groups), append(groups, nameGroup{Folder: folder})
		}
		groups[i].Names = append(groups[i].Names, name)
	}
	return groups, len(paths) - shown
}

// wipeTitle says how many DAG files disappear.
func wipeTitle(r Review) string {
	if r.DAGs.Before == r.Wipe.Lost {
		return fmt.Sprintf("All %s DAG files disappear from Airflow.", Number(r.Wipe.Lost))
	}
	return fmt.Sprintf("%s of %s disappear from Airflow.", Number(r.Wipe.Lost), Count(r.DAGs.Before, "DAG file"))
}

// wipeUpload says what was uploaded instead.
func wipeUpload(r Review) string {
	switch {
	case r.Wipe.Upload == "":
		return ""
	case r.DAGs.After == 0:
		return r.Wipe.Upload + " has no DAG file in it."
	}
	return fmt.Sprintf("Afterwards there are %s.", Count(r.DAGs.After, "DAG file"))
}

// LossButton adds the DAG files that go to the label of the button that confirms a
// deploy. toImage is for DAG files that are not in the image with the DAGs.
func LossButton(button string, p slipway.Plan, toImage bool) string {
	gone, stopped := len(p.RemovedDAGs), len(p.StoppedDAGs)
	loss := "remove " + Count(gone, "DAG file")
	switch {
	case gone+stopped == 0:
		return button
	case toImage:
		return strings.TrimSuffix(button, " and DAGs") + " and lose " + Count(gone, "DAG file")
	case gone == 0:
		loss = "stop loading " + Count(stopped, "DAG file")
	case stopped > 0:
		loss = "take " + Count(gone+stopped, "DAG file") + " from Airflow"
	}
	if p.Wipes() {
		return strings.ToUpper(loss[:1]) + loss[1:]
	}
	return button + " and " + loss
}
