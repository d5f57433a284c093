package views

import (
	"testing"
	"time"

	"slipway/internal/slipway"
)

func TestReturnText(t *testing.T) {
	now := slipway.State{Mounted: true, Version: "2", Image: "sha256:2", DAGDeploys: true}
	dags, image, both := now, now, now
	dags.Version, image.Image = "1", "sha256:1"
	both.Version, both.Image = "1", "sha256:1"
	for name, tt := range map[string]struct {
		undone int
		then   slipway.State
		want   string
	}{
		"undo":    {51, dags, "This new deploy takes back #51: Airflow gets the DAG files as after #50; nothing restarts, and the history keeps every deploy to return to."},
		"farther": {0, dags, "This new deploy takes back everything deployed since: Airflow gets the DAG files as after #50; nothing restarts, and the history keeps every deploy to return to."},
		"image":   {51, image, "This new deploy takes back #51: Airflow gets the image as after #50; components restart, and the history keeps every deploy to return to."},
		"both":    {51, both, "This new deploy takes back #51: Airflow gets image and DAG files as after #50; components restart, and the history keeps every deploy to return to."},
	} {
		if got := ReturnText(50, tt.undone, tt.then, now); got != tt.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestTimeShares(t *testing.T) {
	if got := TimeShares([]string{"Uploaded"}, []time.Duration{0}); got != nil {
		t.Errorf("shares of nothing: %v", got)
	}
	got := TimeShares([]string{"Uploaded", "Checked", "Mounted"}, []time.Duration{time.Second, 0, 3 * time.Second})
	want := []TimeShare{{"c-1", "uploaded 1.00 s", 0, 248}, {"c-2", "checked 0.00 s", 251, 4}, {"c-3", "mounted 3.00 s", 258, 738}}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("share %d is %+v, want %+v", i, got[i], want[i])
		}
	}
}

func TestArrivingText(t *testing.T) {
	pushed := slipway.Deploy{Kind: slipway.ImageAndDAG, Status: slipway.Initialized, Tag: "deploy-1", By: slipway.Actor{Via: slipway.API}}
	archive := slipway.Deploy{Kind: slipway.ImageOnly, Status: slipway.Initialized, Tag: "deploy-1", Upload: "image.tar", By: slipway.Actor{Via: slipway.Portal}}
	withDAGs := pushed
	withDAGs.Upload, withDAGs.UploadedAt = "dags.tar.gz", time.Unix(1, 0)
	for want, w := range map[string]slipway.Deploy{
		"Waits for the image to be pushed as deploy-1.":                        pushed,
		"The DAGs have arrived. Waits for the image to be pushed as deploy-1.": withDAGs,
		"The image is arriving and being looked at.":                           archive,
		"The files are arriving.":                                              {Kind: slipway.DAGOnly, Status: slipway.Initialized},
	} {
		if got := ArrivingText(w); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// A staged deploy that nobody can confirm yet says what it waits for.
func TestStagedText(t *testing.T) {
	w := slipway.Deploy{Kind: slipway.DAGOnly, By: slipway.Actor{Name: "Eve"}, Counts: slipway.Counts{Added: 2, Changed: 1}}
	found, asked := w, w
	found.Root, asked.Root = &slipway.Root{Path: "dags"}, &slipway.Root{Asks: true, Others: []slipway.RootChoice{{Path: "a"}, {Path: "b"}}}
	placed, open := w, w
	placed.Landing, open.Landing = &slipway.Landings{{Names: []string{"a.py"}}}, &slipway.Landings{{Names: []string{"a.py"}, Asks: true}}
	const confirmed, where = "+2 ~1 −0 · Eve · waits to be confirmed.", "+2 ~1 −0 · Eve · waits for a choice: where files go."
	for name, tt := range map[string]struct {
		w    slipway.Deploy
		want string
	}{
		"plain": {w, confirmed}, "dags found": {found, confirmed}, "place found": {placed, confirmed}, "a place to choose": {open, where},
		"a folder to choose": {asked, "Eve · waits for a choice: which folder of the archive is the dags folder."},
	} {
		if got := StagedText(tt.w); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
