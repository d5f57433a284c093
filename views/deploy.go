package views

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"slipway/internal/slipway"
)

// DeployPage is the page of one deploy.
type DeployPage struct {
	Frame    DeploymentFrame
	LiveURL  string
	Header   DeployHeader
	Timeline Timeline
	Review   *Review      // while the deploy waits to be confirmed
	Image    *ImageReview // after the review
	Changes  *FileList
	Log      LogCardProps
	Root     *Root  // nil for a deploy without an archive
	Folder   string // the effect on a folder and on the others; "" for none named
	LeftOut  []Omission
	Left     LeftFiles
	Outside  []string
}

// DeployHeader is the head of a deploy's page.
type DeployHeader struct {
	Number      int
	Kind        slipway.DeployKind
	Status      slipway.Status
	Current     bool
	Description string
	Commit      string
	CommitURL   string
	Branch      string
	By, From    string
	At          Moment
	Reason      string // why the deploy failed or was cancelled
	Trouble     string // a fault that may pass, for which the deploy waits
	Harmless    bool   // the deploy ended before anything changed
	Note        string
	Links       []Link // the deploy returned to, the deploy that undid this one
	Fix         string // the file edited in the portal; "" for other deploys
	MadeHere    bool   // live, and unknown to the repository
	DownloadURL string
	PatchURL    string // "" without a patch
	CompareURL  string // of the new version with the version before
	Undo        Undo   // of the live deploy; zero for all others
	ReturnURL   string
	CancelURL   string // a POST
	CancelText  string
	AgainURL    string // to try again after a refusal
	AgainText   string
	Source      string // the image reference in the request
	Version     slipway.Version
	VersionURL  string
	Waits       string // the place in the queue
	Undoing     bool   // the deploy failed halfway, and the state before returns
}

// Link is a text with an address.
type Link struct{ Text, URL string }

// Timeline is a deploy's life in steps.
type Timeline struct {
	Total  string
	Steps  []Step
	Shares []TimeShare // of the time that the portal and the components took
}

// Step is one step of a Timeline.
type Step struct {
	Class  string // done, busy, failed or waiting
	Title  string
	Detail string
	Took   string
}

// flowStates are the signs of a Step by its class.
var flowStates = map[string]struct{ class, icon, words string }{
	"done":    {"deployed", "check", "Done: "},
	"busy":    {"deploying", "loader", "Under way: "},
	"failed":  {"failed", "x", "Failed: "},
	"waiting": {"", "clock", "Still to come: "},
}

// TimeShare is a step's part of a bar 1000 wide.
type TimeShare struct {
	Class       string // of the colour
	Text        string // "checked 0.60 s"
	From, Width int
}

// TimeShares divides a bar among steps, by the time that each took. Steps too short to be
// seen are 4 wide.
func TimeShares(titles []string, took []time.Duration) (all []TimeShare) {
	const gap, least, wide = 3, 4, 1000
	var sum time.Duration
	for _, d := range took {
		sum += d
	}
	if sum <= 0 {
		return nil
	}
	room, from := wide-(gap+least)*len(took), 0
	for i, d := range took {
		s := TimeShare{Class: fmt.Sprintf("c-%d", min(i+1, 5)), Text: strings.ToLower(titles[i]) + " " + Duration(d), From: from}
		s.Width = least + int(float64(room)*d.Seconds()/sum.Seconds())
		from += s.Width + gap
		all = append(all, s)
	}
	return all
}

// shareLabel says in words what a bar of shares shows.
func shareLabel(shares []TimeShare) string {
	texts := make([]string, len(shares))
	for i, s := range shares {
		texts[i] = s.Text
	}
	return "Share of the work by step: " + strings.Join(texts, ", ")
}

// Review is the effect of a deploy, with the form to confirm the deploy.
type Review struct {
	Action      string
	Button      string
	Base        slipway.Version
	Tag         string // of what is shown, beside Base
	Against     string // "against #127"
	Notice      string // why the form is shown again
	Refusal     string // why the deploy cannot be confirmed
	Faulty      bool   // Refusal is about the files: others have to be uploaded
	DiscardURL  string // a POST; "" for a return
	BackURL     string // of a return
	Describes   bool   // whether the description can be edited
	Description string
	AsksReason  bool
	Reason      string
	Counts      slipway.Counts
	NewBytes    int64
	RemovedDAGs []string
	StoppedDAGs []slipway.StopDAG
	Pointers    []string // of Git LFS
	Bidi        []string // texts with bidirectional controls in changed lines
	Invisible   []string // new files with characters in their names that nobody sees
	NoDAGs      bool
	DAGs        slipway.DAGFiles
	Landing     []Landing
	LandingURL  string        // a POST; "" for who may not choose
	Same        string        // "as version …", where no DAG file changes; "" for a deploy without DAG files
	Wipe        *Wipe         // nil unless many DAG files would go
	Older       []OlderFile   // changes back to a content of an earlier deploy
	MoreOlder   int           // left out of Older
	Unjudged    string        // why Slipway cannot tell which DAG files Airflow stops loading; "" where it can
	Ticks       slipway.Ticks // as given
	LeftOut     []Omission
	Left        LeftFiles
	Outside     []string
	Effects     []string     // effects besides file changes
	Image       *ImageReview // the image to roll out; nil for none
	Reminders   []string     // about the present or the next image
	Returns     string       // what a return does, in one sentence; "" for other deploys
	NotAirflow  string       // an image without any sign of Airflow; "" for none
	ToImage     bool         // the DAGs of the image come in place of the mounted ones
	ByHand      bool         // no agent and no command here can run the image with the DAGs
	NoFiles     bool         // the deploy changes no files
	Root        *Root        // nil for a deploy without an archive
	Folder      string       // the effect on a folder and on the others; "" for none named
}

// Wipe is the question before a deploy that takes many DAG files from Airflow.
type Wipe struct {
	Name   string   // of the Deployment, to be typed
	Typed  string   // as given
	Lost   int      // DAG files
	Upload string   // the archive's name, or "3 files"; "" for a return
	Files  int      // in the version afterwards
	Some   []string // the first of these files
}

// Landing says where names of an upload go that stand elsewhere in the version.
type Landing struct {
	Names   []string // as uploaded
	Own     string   // where the first of them goes as a new file: "dags/orders_daily.py"
	OwnDir  string   // the folder of the deploy
	At      []Option // where the first of them stands: folder and path
	More    int      // places left out of At
	Asks    bool
	Chosen  string // the path that the first of them goes to
	Replace bool   // Chosen is one of At
}

// OlderFile is a changed file with the content of an earlier deploy.
type OlderFile struct {
	Path   string
	Deploy string // "#119 (Grace H., 18 Nov 2026)"
	URL    string
}

// Root is the folder of an archive that became dags, with the folders to choose from.
type Root struct {
	Path    string   // "" for the whole archive
	Why     string   // a sentence; "" for the usual folder
	Inside  string   // the archive in the upload that was read; "" for the upload itself
	Asks    bool     // nobody has said yet
	URL     string   // a POST; "" where nothing can be chosen
	Options []Option // the folders to choose from
}

// RootAsks refuses a confirmation without a chosen folder.
const RootAsks = "Say above which folder of the archive is the dags folder. Then the changes are shown."

// RootOption names a folder to choose.
func RootOption(c slipway.RootChoice) Option {
	o := Option{Value: c.Name(), Text: slipway.Visible(c.Path) + "/"}
	if c.Path == "" {
		o.Text = "the whole archive"
	}
	o.Text += " (" + Count(c.DAGs, "DAG file") + ")"
	return o
}

// LeftFiles counts files of an upload that are not deployed: a name in a list may be a
// folder, and lists end after a thousand names.
type LeftFiles struct{ Out, Outside int }

// Omission is a file left out of an upload, with the reason.
type Omission struct{ Name, Why string }

// ModeFold is one line for many files that differ by their mode alone.
type ModeFold struct {
	Text  string
	Files []ModeLine
	More  int // files left out of the list
}

// ModeLine is a file in a ModeFold.
type ModeLine struct {
	Path, Mode string
	URL        string // "" for none
}

// maxModeLines is the most files in the list of a ModeFold.
const maxModeLines = 500

// FoldedModes returns the line for changes of modes, nil without changes. address
// returns the address of a file, "" for none.
func FoldedModes(changes []slipway.Change, address func(slipway.Change) string) *ModeFold {
	if len(changes) == 0 {
		return nil
	}
	f := &ModeFold{More: max(0, len(changes)-maxModeLines)}
	counts, words := map[string]int{}, []string{}
	for i, c := range changes {
		was, is := c.ModeChange()
		text := was + " → " + is
		if counts[text]++; counts[text] == 1 {
			words = append(words, text)
		}
		if i < maxModeLines {
			f.Files = append(f.Files, ModeLine{Path: c.Path, Mode: text, URL: address(c)})
		}
	}
	slices.Sort(words)
	if len(words) > 1 {
		for i, text := range words {
			words[i] = text + " (" + Count(counts[text], "file") + ")"
		}
	}
	f.Text = Count(len(changes), "file") + " differ by their mode alone: " + strings.Join(words, ", ")
	return f
}

// ModeText names the change of a file's mode, or the mode of a new or removed
// executable file: "mode 100644 → 100755". "" for all else.
func ModeText(c slipway.Change) string { return ModeWords(c.Old.Mode(), c.New.Mode()) }

// ModeWords is ModeText for modes as git writes them, "" for no file.
func ModeWords(was, is string) string {
	const executable = "100755"
	switch {
	case was == is:
		return ""
	case was != "" && is != "":
		return "mode " + was + " → " + is
	case was == executable || is == executable:
		return "mode " + executable
	}
	return ""
}

// modesAlone counts the files among changed ones that differ by their mode alone, in
// words; "" for none.
func modesAlone(n int) string {
	if n == 0 {
		return ""
	}
	return " (" + Number(n) + " by mode alone)"
}

// DeployBy names a deploy and its sender: "#127, token ci-sales".
func DeployBy(w slipway.Deploy) string { return "#" + strconv.Itoa(w.Number) + ", " + w.By.Title() }

// ArrivingText says why a deploy in preparation waits.
func ArrivingText(w slipway.Deploy) string {
	switch {
	case w.Purpose() == slipway.ForSwitch:
		return "The switch is being prepared: you see its files before anything moves."
	case w.WantsDAG && !w.HasDAGs() && w.Image != nil:
		return "The image is checked. Its DAGs are arriving."
	case w.LacksImage() && w.Source != "":
		return "The image " + WrittenReference(w.Source) + " is being looked at."
	case w.AwaitsImage() && w.HasDAGs() && w.By.Via == slipway.API:
		return "The DAGs have arrived. Waits for the image to be pushed as " + w.Tag + "."
	case w.LacksImage() && w.Upload == "" && w.Tag != "":
		return "Waits for the image to be pushed as " + w.Tag + "."
	case w.LacksImage():
		return "The image is arriving and being looked at."
	case !w.HasDAGs():
		return "The files are arriving."
	}
	return "The files have arrived and are being checked."
}

// FolderText describes the effect of w on the folder named for its files; "" for none.
func FolderText(w slipway.Deploy) string {
	folder := "dags/" + w.Folder
	switch {
	case w.Folder == "":
		return ""
	case w.Merge == slipway.ReplaceFolder:
		return "Replaces the folder " + folder + " alone: only the files of this deploy are in it afterwards." + othersStay
	case w.Merge == slipway.AddFiles:
		return "Adds or changes files in the folder " + folder + "." + othersStay
	}
	return "Replaces everything: afterwards there are only the files of this deploy, in the folder " + folder + "."
}

const othersStay = " All other files stay as they are."

// FolderPlan is FolderText before the deploy, with the files in the folder.
func FolderPlan(w slipway.Deploy, f slipway.FolderFiles) string {
	folder := "dags/" + w.Folder
	switch {
	case w.Folder == "" || !w.Merge.KeepsOthers():
		return FolderText(w)
	case f.Before == 0 && f.After == 0:
		return "The folder " + folder + " has no files, and gets none." + othersStay
	case f.Before == 0:
		return "The folder " + folder + " is new: there is none of this name yet. It gets " + Count(f.After, "file") + "." + othersStay
	case w.Merge == slipway.AddFiles:
		return FolderText(w)
	case f.After == 0:
		return "Empties the folder " + folder + " alone: " + Count(f.Before, "file") + " in it now, and none afterwards." + othersStay
	}
	return fmt.Sprintf("Replaces the folder %s alone: %s in it now, and %d afterwards, those of this deploy.%s", folder, Count(f.Before, "file"), f.After, othersStay)
}

// AgainstText names the deploy with the base of a review's changes, nil for
// none.
func AgainstText(w *slipway.Deploy) string {
	switch {
	case w == nil:
		return "against nothing: these are the first DAGs"
	case w.Status == slipway.Queued:
		return fmt.Sprintf("against #%d, which is queued", w.Number)
	case w.Status == slipway.Deploying:
		return fmt.Sprintf("against #%d, which is going live now", w.Number)
	}
	return fmt.Sprintf("against #%d", w.Number)
}

// BaseChangedText asks to confirm again, after w changed the base.
func BaseChangedText(w slipway.Deploy) string {
	return fmt.Sprintf("Deploy #%d by %s came in between. These are the changes against it: read them, then confirm again.", w.Number, w.By.Title())
}

// ReturnText says in one sentence what a return from the state now to the state
// then does. target is the deploy returned to, undone the one deploy that the return takes
// back, 0 for several.
func ReturnText(target, undone int, then, now slipway.State) string {
	what, restarts := "the DAG files", "nothing restarts"
	switch moves := then.Image != now.Image; {
	case moves && then.Mounted == now.Mounted && then.Version == now.Version:
		what, restarts = "the image", "components restart"
	case moves:
		what, restarts = "image and DAG files", "components restart"
	}
	takes := "takes back everything deployed since"
	if undone > 0 {
		takes = fmt.Sprintf("takes back #%d", undone)
	}
	return fmt.Sprintf("This new deploy %s: Airflow gets %s as after #%d; %s, and the history keeps every deploy to return to.", takes, what, target, restarts)
}

// ReturnEffects lists the effects of a return from the state now to the state
// then, besides file changes.
func ReturnEffects(then, now slipway.State) (all []string) {
	switch moves := then.Image != now.Image; {
	case then.Mounted && then.Version == now.Version && now.Mounted:
		all = append(all, dagsStay)
	case then.Version != "" && then.Mounted && moves:
		all = append(all, "Mounts version "+then.Version.Short()+" again.")
	case then.Version != "" && then.Mounted:
		all = append(all, "Mounts version "+then.Version.Short()+" again. Nothing restarts.")
	}
	if !then.Mounted {
		all = append(all, "Airflow reads its DAGs from the image again, as it did then.")
	}
	if then.Image != now.Image {
		all = append(all, "Applies the image "+ImageTag(then)+" again. Components restart.")
	}
	if then.DAGDeploys != now.DAGDeploys {
		all = append(all, "Turns "+slipway.OnOff(then.DAGDeploys)+" DAG-only deploys, as they were then.")
	}
	return all
}

// DAGsFromImage is the title of the last step of a deploy without a mount.
const DAGsFromImage = "DAGs read from the image"

// Texts of a page without file differences.
const (
	ChangesExpired = "The versions are no longer kept, so that their files cannot be compared."
	ChangesNone    = "No file was changed."
)

// ChangesAway is the text in place of differences while the bucket cannot be read
// for a reason.
func ChangesAway(reason string) string {
	return reason + " Until it can be read, the lines of the changed files cannot be shown, and Slipway does not know whether there is anything to remark on them."
}

// LinkText describes the change of a symlink.
func LinkText(change slipway.Change) string {
	switch {
	case change.Old.Link == "":
		return "link to " + slipway.Visible(change.New.Link)
	case change.New.Link == "":
		return "was a link to " + slipway.Visible(change.Old.Link)
	}
	return "link to " + slipway.Visible(change.New.Link) + ", before to " + slipway.Visible(change.Old.Link)
}
