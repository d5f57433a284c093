package store

import (
	"path/filepath"
	"testing"

	"slipway/internal/slipway"
)

// A new Deployment gets no namespace that another has, or that is set aside.
func TestNamespaceIsFree(t *testing.T) {
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "slipway.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	draws := []string{"taken-nova-0001", "taken-nova-0001", "aside-nova-0001", "free-nova-0001", "aside-nova-0001"}
	draw := func() string {
		next := draws[0]
		if len(draws) > 1 {
			draws = draws[1:]
		}
		return next
	}
	err = s.Update(t.Context(), func(tx *Tx) error {
		w, err := tx.AddWorkspace("W")
		if err != nil {
			return err
		}
		if err := tx.AddOrphanedNamespace("aside-nova-0001"); err != nil {
			return err
		}
		for i, want := range []string{"taken-nova-0001", "free-nova-0001"} {
			d, err := slipway.NewDeployment(w.ID, string(rune('a'+i)), true)
			if err != nil {
				return err
			}
			d.ID = slipway.DeploymentID(tx.newID())
			if d, err = tx.addIn(d, draw); err != nil || d.Namespace != want {
				t.Errorf("namespace %q, %v; want %q", d.Namespace, err, want)
			}
		}
		if _, err := tx.addIn(slipway.Deployment{ID: "x", Workspace: w.ID, Settings: slipway.Settings{Name: "c"}}, draw); err == nil {
			t.Error("a Deployment without a free namespace was recorded")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
