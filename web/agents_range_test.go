package web

import (
	"net/http"
	"testing"

	"slipway/internal/bundle"
)

// Each of many ranges would be a request to the bucket.
func TestAgentsAskForOneRangeAtATime(t *testing.T) {
	a := newApp(t)
	a.run(t)
	live := a.live(t, a.Eve, map[string]string{"a.py": dag})
	token, _ := a.agentToken(t, a.Sales.ID)
	manifest := "manifests/" + live.Version.Dir()
	m, err := bundle.ReadManifest(a.asAgent(t, token, http.MethodGet, manifest, "").Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{manifest, "packs/" + m.Files[0].Pack} {
		for ranges, want := range map[string]int{"bytes=0-1": http.StatusPartialContent, "bytes=0-1,3-4": http.StatusRequestedRangeNotSatisfiable} {
			if w := a.asAgent(t, token, http.MethodGet, path, "", "Range", ranges); w.Code != want {
				t.Errorf("%s with %s: %d, want %d", path, ranges, w.Code, want)
			}
		}
	}
}
