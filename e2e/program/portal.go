package program

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"slipway/internal/datadir"
	"slipway/internal/slipway"
	"slipway/store/storetest"
)

// Portal is the binary as a portal with the storetest world, and Ada as the
// visitor.
type Portal struct {
	*Visitor
	Process *Process
	Data    string // the data folder
	World   storetest.World
}

// StartPortal seeds a data folder and starts the binary with args. A failed test
// logs the output.
func StartPortal(t *testing.T, data string, args ...string) *Portal {
	t.Helper()
	if err := os.MkdirAll(data, 0o700); err != nil {
		t.Fatal(err)
	}
	p := &Portal{Data: data, World: seed(t, data)}
	p.Process = Launch(t, t.TempDir(), ServeArgs(Build(t, "slipway"), data, args...)...)
	base := p.Process.MustBeReady(t)
	p.Visitor = NewVisitor(t.Context(), base, SignInAda(t, base))
	t.Cleanup(func() {
		p.CloseIdleConnections()
		p.Process.logIfFailed(t)
	})
	return p
}

// seed fills an empty data folder. The end of the subtest closes the database.
func seed(t *testing.T, data string) (w storetest.World) {
	t.Helper()
	t.Run("seed", func(t *testing.T) { w = storetest.Seed(t, storetest.OpenAt(t, filepath.Join(data, datadir.Database))) })
	return w
}

// MustDeploy deploys a file sales.py to Sales, and checks the mount.
func (p *Portal) MustDeploy(t *testing.T) {
	t.Helper()
	text := fmt.Sprintf("# airflow DAG at %s\n", time.Now())
	number, err := p.Deploy(p.World.Sales.ID, slipway.ReplaceAll, ArchiveOf(map[string]string{"dags/sales.py": text}))
	if err == nil {
		err = p.AwaitStatus(p.World.Sales.ID, number, slipway.Deployed, 30*time.Second)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Mounted(t); got != text {
		t.Errorf("mounted is %q, want %q", got, text)
	}
}

// Mounted returns sales.py from the mount of Sales.
func (p *Portal) Mounted(t *testing.T) string {
	t.Helper()
	got, err := os.ReadFile(filepath.Join(p.Data, "mounts", p.World.Sales.Namespace, "current", "dags", "sales.py"))
	if err != nil {
		t.Fatal(err)
	}
	return string(got)
}

// AwaitRefusal waits until a deploy of Sales has failed, and returns the page.
func (p *Portal) AwaitRefusal(t *testing.T, number int, patience time.Duration) string {
	t.Helper()
	if err := p.AwaitStatus(p.World.Sales.ID, number, slipway.Failed, patience); err != nil {
		t.Fatal(err)
	}
	r, err := p.Page(DeployURL(p.World.Sales.ID, number))
	if err != nil {
		t.Fatal(err)
	}
	return r.Body
}

var peakLine = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// PeakMemory returns the peak of resident memory since ResetPeak, in MiB.
func (p *Portal) PeakMemory(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.pid()))
	if err != nil {
		t.Fatal(err)
	}
	m := peakLine.FindSubmatch(text)
	if m == nil {
		t.Fatalf("no peak in %s", text)
	}
	kib, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return kib >> 10
}

// ResetPeak sets the peak to the present memory, by proc(5).
func (p *Portal) ResetPeak(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.Process.pid()), []byte("5"), 0); err != nil {
		t.Fatal(err)
	}
}
