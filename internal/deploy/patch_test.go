package deploy_test

import (
	"strings"
	"testing"

	"slipway/internal/slipway"
)

func TestPatchOfWhatIsNoText(t *testing.T) {
	a := running(t)
	a.Deployed(t, slipway.ReplaceAll, map[string]string{"a.py": dag("a"), "logo.bin": "\x00\x01"})
	both := a.Deployed(t, slipway.AddFiles, map[string]string{"a.py": dag("b"), "logo.bin": "\x00\x02"})
	none := a.Deployed(t, slipway.AddFiles, map[string]string{"logo.bin": "\x00\x03"})
	same := a.Deployed(t, slipway.AddFiles, map[string]string{"logo.bin": "\x00\x03"})

	patch, err := a.Engine.Patch(t.Context(), a.Sales.ID, both.Number, a.Mia)
	if err != nil || !strings.Contains(string(patch), `too large: "dags/logo.bin"`) || strings.Count(string(patch), "diff --git") != 1 {
		t.Errorf("%v\n%s", err, patch)
	}
	_, err = a.Engine.Patch(t.Context(), a.Sales.ID, none.Number, a.Mia)
	wantKind(t, err, slipway.Conflict, "changes no text file")
	_, err = a.Engine.Patch(t.Context(), a.Sales.ID, same.Number, a.Mia)
	wantKind(t, err, slipway.Conflict, "changes no file")
	_, err = a.Engine.Patch(t.Context(), a.Sales.ID, both.Number, a.Sam)
	wantKind(t, err, slipway.NotFound, "There is no Deployment")
}
