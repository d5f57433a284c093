package slipway

import (
	"slices"
	"strings"
	"testing"
)

func filesAt(paths string) (all []File) {
	for _, p := range strings.Fields(paths) {
		all = append(all, File{Path: p})
	}
	SortFiles(all)
	return all
}

func pathsOf(files []File) string {
	var all []string
	for _, f := range files {
		all = append(all, f.Path)
	}
	return strings.Join(all, " ")
}

// TestLandings: where a name of the upload stands once elsewhere, that place is chosen;
// where more often, somebody must choose.
func TestLandings(t *testing.T) {
	for name, tt := range map[string]struct {
		w          Deploy
		base, sent string
		want       string // places of the upload; "ask" for a question
	}{
		"at its place":        {base: "sales/a.py a.py", sent: "a.py", want: "a.py"},
		"new":                 {base: "sales/a.py", sent: "b.py", want: "b.py"},
		"once elsewhere":      {base: "sales/a.py", sent: "a.py", want: "sales/a.py"},
		"twice elsewhere":     {base: "sales/a.py ml/a.py", sent: "a.py", want: "ask"},
		"two files":           {base: "sales/a.py ml/b.py", sent: "a.py b.py c.py", want: "c.py ml/b.py sales/a.py"},
		"also sent there":     {base: "sales/a.py", sent: "a.py sales/a.py", want: "a.py sales/a.py"},
		"folder deeper":       {base: "team/sales/a.py", sent: "sales/a.py sales/new.py", want: "team/sales/a.py team/sales/new.py"},
		"folder at its place": {base: "team/sales/a.py sales/b.py", sent: "sales/a.py", want: "sales/a.py"},
		"folder twice":        {base: "x/sales/a.py y/sales/a.py", sent: "sales/a.py", want: "ask"},
		"common names":        {base: "team/sales/__init__.py", sent: "sales/__init__.py sales/a.py", want: "sales/__init__.py sales/a.py"},
		"part of a name":      {base: "presales/a.py", sent: "sales/a.py", want: "sales/a.py"},
		"in a folder":         {w: Deploy{Folder: "team_b"}, base: "team_b/sql/a.py sales/a.py", sent: "team_b/a.py", want: "team_b/sql/a.py"},
		"outside the folder":  {w: Deploy{Folder: "team_b"}, base: "sales/a.py", sent: "team_b/a.py", want: "team_b/a.py"},
		"replacing":           {w: Deploy{Merge: ReplaceAll}, base: "sales/a.py", sent: "a.py", want: "a.py"},
		"the editor":          {w: Deploy{Fix: "a.py"}, base: "sales/a.py", sent: "a.py", want: "a.py"},
	} {
		t.Run(name, func(t *testing.T) {
			w := tt.w
			w.Status, w.By.User = Staged, "eve"
			if w.Merge == "" {
				w.Merge = AddFiles
			}
			all := w.FindLandings(filesAt(tt.base), filesAt(tt.sent))
			w.Landing = &all
			if asks := w.Settled() != nil; asks != (tt.want == "ask") {
				t.Fatalf("%+v, %v", all, w.Settled())
			}
			if tt.want != "ask" {
				if got := pathsOf(w.Landed(filesAt(tt.sent))); got != tt.want {
					t.Errorf("lands at %s, want %s", got, tt.want)
				}
				return
			}
			for _, folder := range append(slices.Clone(all[0].Folders), w.Folder) {
				next, err := w.Land(Author, Actor{User: "eve"}, all[0].Names[0], folder)
				if err != nil || next.Settled() != nil || next.Landing == w.Landing {
					t.Errorf("to %q: %+v, %v", folder, next.Landing, err)
				}
			}
			_, err := w.Land(Author, Actor{User: "eve"}, all[0].Names[0], "elsewhere")
			checkError(t, err, Invalid, "does not stand in the folder")
			_, err = w.Land(Author, Actor{User: "ada"}, all[0].Names[0], "")
			checkError(t, err, Forbidden, "nobody else chooses")
		})
	}
}

// TestLandingsApart: no two files of an upload are sent to one place without a choice.
func TestLandingsApart(t *testing.T) {
	w := Deploy{Status: Staged, Merge: AddFiles}
	sent := filesAt("a.py f/a.py")
	all := w.FindLandings(filesAt("x/f/a.py"), sent)
	w.Landing = &all
	if got := pathsOf(w.Landed(sent)); got != "f/a.py x/f/a.py" {
		t.Errorf("lands at %s", got)
	}
	checkError(t, w.Settled(), Invalid, "f stands in dags/x: say that it replaces that one, or that it is new.")
}

// TestRelanded: places follow the version, and what somebody chose stays while it can.
func TestRelanded(t *testing.T) {
	for name, tt := range map[string]struct {
		base, chosen, now string // chosen: the folder that somebody chose for a.py against base; "-" for none
		want              string // place of a.py; "ask" for a question
	}{
		"moved":                  {"x/a.py", "-", "y/a.py", "y/a.py"},
		"came":                   {"b.py", "-", "y/a.py", "y/a.py"},
		"went":                   {"x/a.py", "-", "b.py", "a.py"},
		"another came":           {"x/a.py", "-", "x/a.py y/a.py", "ask"},
		"chosen, another came":   {"x/a.py", "x", "x/a.py y/a.py", "x/a.py"},
		"new, another came":      {"x/a.py", "", "x/a.py y/a.py", "a.py"},
		"chosen, and moved":      {"x/a.py z/a.py", "x", "y/a.py", "y/a.py"},
		"chosen, and at its own": {"x/a.py", "x", "a.py x/a.py", "a.py"},
	} {
		t.Run(name, func(t *testing.T) {
			w := Deploy{Status: Staged, Merge: AddFiles, By: Actor{User: "eve", Via: Portal}}
			sent := filesAt("a.py")
			w = w.Relanded(filesAt(tt.base), sent)
			if tt.chosen != "-" {
				var err error
				if w, err = w.Land(Author, w.By, "a.py", tt.chosen); err != nil {
					t.Fatal(err)
				}
			}
			tag := w.ReviewTag()
			if again := w.Relanded(filesAt(tt.base), sent); again.ReviewTag() != tag {
				t.Errorf("another tag against the same version: %+v", again.Landing)
			}
			w = w.Relanded(filesAt(tt.now), sent)
			got := pathsOf(w.Landed(sent))
			if w.Settled() != nil {
				got = "ask"
			}
			if got != tt.want {
				t.Errorf("lands at %s, want %s: %+v", got, tt.want, w.Landing)
			}
		})
	}
}
