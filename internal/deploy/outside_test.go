package deploy_test

import (
	"fmt"
	"testing"

	"slipway/internal/slipway"
)

// However much lies beside the dags folder, a page that names it stays small.
func TestNamesOutsideAreBounded(t *testing.T) {
	a := running(t)
	files := map[string]string{"dags/a.py": dag("a")}
	for i := range 1500 {
		files[fmt.Sprintf("beside-%04d.txt", i)] = ""
	}
	w := a.Staged(t, a.Eve, slipway.ReplaceAll, files)
	r, err := a.Engine.Review(t.Context(), a.Sales.ID, w.Number, a.Eve)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Report.Outside) != 1000 || w.Counts.Outside != 1500 {
		t.Errorf("%d names of %d are kept, want 1000 of 1500", len(r.Report.Outside), w.Counts.Outside)
	}
}
