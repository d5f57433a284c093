package slipway

import "testing"

// TestPlace is the rule for the folder of an upload, and for the effect on others.
func TestPlace(t *testing.T) {
	person, bound := Actor{User: "eve"}, Actor{Token: "t", Folder: "team_b"}
	for name, tt := range map[string]struct {
		by         Actor
		folder     string
		merge      Merge
		wantFolder string
		wantMerge  Merge
		want       Kind
		text       string
	}{
		"nothing named":                  {person, "", "", "", ReplaceAll, fine, ""},
		"a folder":                       {person, "team_b", "", "team_b", ReplaceFolder, fine, ""},
		"a folder, to add":               {person, "team_b", AddFiles, "team_b", AddFiles, fine, ""},
		"a folder, and all else removed": {person, "team_b", ReplaceAll, "team_b", ReplaceAll, fine, ""},
		"dags itself":                    {person, DAGsItself, "", "", ReplaceAll, fine, ""},
		"dags itself, to add":            {person, DAGsItself, AddFiles, "", AddFiles, fine, ""},
		"add":                            {person, "", AddFiles, "", AddFiles, fine, ""},
		"no folder to replace":           {person, "", ReplaceFolder, "", "", Invalid, "Name the folder inside dags"},
		"dags as the folder":             {person, DAGsItself, ReplaceFolder, "", "", Invalid, "or replace everything."},
		"unknown":                        {person, "", "mix", "", "", Invalid, `and not "mix".`},
		"bound":                          {bound, "", "", "team_b", ReplaceFolder, fine, ""},
		"bound, to add":                  {bound, "", AddFiles, "team_b", AddFiles, fine, ""},
		"bound, named":                   {bound, "team_b", ReplaceFolder, "team_b", ReplaceFolder, fine, ""},
		"bound, in it":                   {bound, "team_b/sql", "", "team_b/sql", ReplaceFolder, fine, ""},
		"bound, another":                 {bound, "team_a", "", "", "", Forbidden, "changes the folder dags/team_b alone, and not dags/team_a."},
		"bound, one alike":               {bound, "team_b2", AddFiles, "", "", Forbidden, "not dags/team_b2."},
		"bound, another case":            {bound, "Team_b", "", "", "", Forbidden, "not dags/Team_b."},
		"bound, dags itself":             {bound, DAGsItself, "", "", "", Forbidden, "and not dags."},
		"bound, everything":              {bound, "", ReplaceAll, "", "", Forbidden, "may not replace everything. Leave the field merge out"},
		"bound, unknown":                 {bound, "", "mix", "", "", Invalid, `and not "mix".`},
		"bound deeper, above":            {Actor{Token: "t", Folder: "a/b"}, "a", "", "", "", Forbidden, "not dags/a."},
		"bound deeper, beside":           {Actor{Token: "t", Folder: "a/b"}, "a/c", "", "", "", Forbidden, "not dags/a/c."},
	} {
		t.Run(name, func(t *testing.T) {
			folder, merge, err := tt.by.Place(tt.folder, tt.merge)
			checkError(t, err, tt.want, tt.text)
			if folder != tt.wantFolder || merge != tt.wantMerge {
				t.Errorf("Place = %q, %q, want %q, %q", folder, merge, tt.wantFolder, tt.wantMerge)
			}
		})
	}
}

// TestBoundTokenTouchesItsFolderAlone holds every rule about an existing deploy
// against deploys of all kinds.
func TestBoundTokenTouchesItsFolderAlone(t *testing.T) {
	in := Deploy{Number: 4, Kind: DAGOnly, Status: Staged, Merge: ReplaceFolder, Folder: "team_b", Root: &Root{Others: []RootChoice{{}, {Path: "x"}}}}
	with := func(change func(*Deploy)) Deploy {
		w := in
		change(&w)
		return w
	}
	for name, tt := range map[string]struct {
		w    Deploy
		want Kind
		text string
	}{
		"its folder":       {in, fine, ""},
		"added to it":      {with(func(w *Deploy) { w.Merge = AddFiles }), fine, ""},
		"a folder in it":   {with(func(w *Deploy) { w.Folder = "team_b/sql" }), fine, ""},
		"another folder":   {with(func(w *Deploy) { w.Folder = "team_a" }), Forbidden, "deploy #4 is about more"},
		"a folder alike":   {with(func(w *Deploy) { w.Folder = "team_b2" }), Forbidden, "dags/team_b alone"},
		"no folder":        {with(func(w *Deploy) { w.Folder = "" }), Forbidden, "deploy #4 is about more"},
		"everything":       {with(func(w *Deploy) { w.Merge = ReplaceAll }), Forbidden, "deploy #4 is about more"},
		"everything, old":  {with(func(w *Deploy) { w.Merge = "" }), Forbidden, "deploy #4 is about more"},
		"image and DAGs":   {with(func(w *Deploy) { w.Kind = ImageAndDAG }), Forbidden, "API token"},
		"an image":         {with(func(w *Deploy) { w.Kind = ImageOnly }), Forbidden, "API token"},
		"a return":         {with(func(w *Deploy) { w.ReturnTo = 3 }), Forbidden, "a return restores all files"},
		"a switch's files": {with(func(w *Deploy) { w.Switch = &SafeSwitch{On: true} }), Forbidden, ""},
	} {
		t.Run(name, func(t *testing.T) {
			tt.w.By = Actor{Token: "another"}
			by := Actor{Token: "t", Folder: "team_b", Kinds: FolderKinds}
			d := Deployment{State: State{DAGDeploys: true, Mounted: true}}
			checkError(t, by.Reaches(tt.w), tt.want, tt.text)
			_, err := tt.w.Cancel(Author, by)
			checkError(t, err, tt.want, tt.text)
			_, err = tt.w.ChooseRoot(Author, by, "x")
			checkError(t, err, tt.want, tt.text)
			_, err = tt.w.Describe(Author, by, "text")
			checkError(t, err, tt.want, tt.text)
			if tt.w.ReturnTo == 0 { // never confirmed
				_, err = d.Confirm(tt.w, Author, by, "")
				checkError(t, err, tt.want, "")
			}
			checkError(t, Actor{Token: "t"}.Reaches(tt.w), fine, "")
			checkError(t, Actor{User: "eve"}.Reaches(tt.w), fine, "")
		})
	}
}

func TestCell(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", ""}, {"sales-prod", "sales-prod"}, {"7", "7"}, {"#7, to #2", "#7, to #2"}, {"a=b", "a=b"},
		{"=1+1", "'=1+1"}, {"+49", "'+49"}, {"-1", "'-1"}, {"@SUM(A1)", "'@SUM(A1)"},
		{"\t=1", "'\t=1"}, {"\r=1", "'\r=1"}, {"＝1", "'＝1"}, // Excel reads the wide signs alike
	} {
		if got := Cell(tt.text); got != tt.want {
			t.Errorf("Cell(%q) = %q, want %q", tt.text, got, tt.want)
		}
	}
}
