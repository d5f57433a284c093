package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway/internal/backup"
	"slipway/internal/bundle"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// findsDamage harms the folder in three ways, one after the other, and has
// each found with the version that it affects.
func (d *drill) findsDamage(t *testing.T) {
	t.Helper()
	of := d.deployments[0]
	last := d.lastVersion(t, of)
	manifest := filepath.Join("bundles", of.Namespace, last.Dir()+".json.zst")
	m, err := bundle.Attach(d.dir).Manifest(of.Namespace, last)
	if err != nil || len(m.Files) == 0 {
		t.Fatal(m, err)
	}
	pack := filepath.Join("packs", of.Namespace, m.Files[0].Pack+".tar.zst") // another may be of a deploy that waits
	for _, tt := range []struct {
		path, says string
		harm       func(b []byte) []byte // nil removes the file
	}{
		{pack, "The pack is damaged: ", func(b []byte) []byte { b[len(b)/2] ^= 1; return b }},
		{pack, "The pack is missing.", nil},
		{manifest, "The manifest is missing.", nil},
	} {
		path := filepath.Join(d.dir, tt.path)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if tt.harm == nil {
			err = os.Remove(path)
		} else {
			err = os.WriteFile(path, tt.harm(bytes.Clone(whole)), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := call(t, "", "fsck", "--data", d.dir)
		wantError(t, err, "is damaged.")
		for _, part := range []string{tt.path + ": " + tt.says, "Deployment " + of.Name + ": affects the ", string(last), ": 1 damages, 0 leftovers."} {
			if !strings.Contains(text, part) {
				t.Errorf("fsck says\n%s\nwant %q", text, part)
			}
		}
		d.wantJSON(t, tt.path, last)
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func (d *drill) wantJSON(t *testing.T, path string, affected slipway.Version) {
	t.Helper()
	text, err := call(t, "", "fsck", "--json", "--data", d.dir)
	wantError(t, err, "is damaged.")
	lines := json.NewDecoder(strings.NewReader(text))
	var got backup.Damage
	var totals backup.FsckTotals
	if err := errors.Join(lines.Decode(&got), lines.Decode(&totals)); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	if got.Path != path || !slices.Contains(got.Versions, affected) || totals.Damages != 1 || totals.Deployments != 3 {
		t.Errorf("fsck --json says %s, want damage of %s", text, path)
	}
}

func (d *drill) lastVersion(t *testing.T, of slipway.Deployment) (v slipway.Version) {
	t.Helper()
	st := storetest.OpenAt(t, filepath.Join(d.dir, "slipway.db"))
	storetest.View(t, st, func(tx *store.Tx) error {
		now, err := tx.LoadDeployment(of.ID)
		v = now.Version
		return err
	})
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	return v
}
