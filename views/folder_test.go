package views

import (
	"strings"
	"testing"

	"slipway/internal/slipway"
)

// TestFolderPlan: the review says what becomes of the folder and of the others.
func TestFolderPlan(t *testing.T) {
	for name, tt := range map[string]struct {
		folder string
		merge  slipway.Merge
		f      slipway.FolderFiles
		want   string
	}{
		"no folder":      {"", slipway.ReplaceAll, slipway.FolderFiles{}, ""},
		"replaced":       {"team_b", slipway.ReplaceFolder, slipway.FolderFiles{Before: 12, After: 3}, "Replaces the folder dags/team_b alone: 12 files in it now, and 3 afterwards"},
		"emptied":        {"team_b", slipway.ReplaceFolder, slipway.FolderFiles{Before: 1}, "Empties the folder dags/team_b alone: 1 file in it now, and none afterwards."},
		"new":            {"taem_b", slipway.ReplaceFolder, slipway.FolderFiles{After: 1}, "The folder dags/taem_b is new: there is none of this name yet. It gets 1 file."},
		"nothing":        {"team_b", slipway.ReplaceFolder, slipway.FolderFiles{}, "has no files, and gets none."},
		"added":          {"a/b", slipway.AddFiles, slipway.FolderFiles{Before: 2, After: 3}, "Adds or changes files in the folder dags/a/b."},
		"added, new":     {"a/b", slipway.AddFiles, slipway.FolderFiles{After: 3}, "The folder dags/a/b is new"},
		"everything":     {"a/b", slipway.ReplaceAll, slipway.FolderFiles{Before: 2, After: 3}, "Replaces everything: afterwards there are only the files of this deploy, in the folder dags/a/b."},
		"everything old": {"a/b", "", slipway.FolderFiles{Before: 2, After: 3}, "Replaces everything"},
	} {
		t.Run(name, func(t *testing.T) {
			got := FolderPlan(slipway.Deploy{Folder: tt.folder, Merge: tt.merge}, tt.f)
			if !strings.Contains(got, tt.want) || got == "" != (tt.want == "") {
				t.Errorf("%q, want %q", got, tt.want)
			}
			if stays := strings.HasSuffix(got, "All other files stay as they are."); stays != (tt.want != "" && tt.merge.KeepsOthers()) {
				t.Errorf("%q: do others stay?", got)
			}
		})
	}
}
