package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/playwright-community/playwright-go"
)

const (
	manyFiles    = 20_000
	longTask     = 50 * time.Millisecond // of processor time: other programs may interrupt a task
	mostOfTab    = 200_000               // kB; it takes some 150,000, and took 480,000
	everyMeasure = 20 * time.Millisecond
)

// TestManyFilesFromAFolder chooses a folder of 20,000 files and uploads it: the tab
// answers all the time, stays small, and what travels is compressed.
func TestManyFilesFromAFolder(t *testing.T) {
	p, _ := seeded(t)
	folder := filepath.Join(t.TempDir(), "dags")
	for n := range manyFiles {
		path := filepath.Join(folder, fmt.Sprintf("team%d", n%100), fmt.Sprintf("dag_%d.py", n))
		if n < 100 {
			ok(t, os.MkdirAll(filepath.Dir(path), 0o700))
		}
		ok(t, os.WriteFile(path, fmt.Appendf(nil, "# airflow DAG %d\n%s", n, strings.Repeat("a = 1\n", 30)), 0o600))
	}
	b, err := launch() // its trace has this page alone
	ok(t, err)
	t.Cleanup(func() { ok(t, b.Close()) })
	plain, err := b.NewPage(playwright.BrowserNewPageOptions{BaseURL: &p.url})
	ok(t, err)
	plain.SetDefaultTimeout(60_000)
	page := person{plain, false}
	signIn(t, page, "eve")
	follow(t, page, "sales-prod")

	tab := tabOf(t, b)
	most := tab.measure()
	ok(t, page.Locator("input[name=folder]").SetInputFiles(folder))
	ok(t, b.StartTracing(playwright.BrowserStartTracingOptions{Page: plain, Categories: []string{"toplevel"}})) // the browser has made its own list of them
	waitFor(t, page, page.GetByText(regexp.MustCompile(`20,000 files, .* ready to upload`)))
	peak := most()
	trace, err := b.StopTracing()
	ok(t, err)
	press(t, page, "Upload and check")
	arrive(t, page, `/deploys/1$`)
	for _, task := range longTasks(t, trace, tab.pid) {
		t.Errorf("a task of the tab took %s of processor time", task)
	}
	t.Logf("the tab took at most %d kB", peak)
	if peak > mostOfTab {
		t.Errorf("the tab took %d kB, want at most %d", peak, mostOfTab)
	}
	waitFor(t, page, page.GetByText(regexp.MustCompile(`Uploaded folder dags/, [\d.]+ kB`))) // of 4.3 MB
	waitFor(t, page, page.GetByRole("heading", playwright.PageGetByRoleOptions{Name: "What this deploy will do"}))
	see(t, page, "20,000 files are new")
}

// tab is the process that shows a page.
type tab struct{ pid int }

// tabOf finds the only renderer of a browser.
func tabOf(t *testing.T, b playwright.Browser) tab {
	t.Helper()
	s, err := b.NewBrowserCDPSession()
	ok(t, err)
	answer, err := s.Send("SystemInfo.getProcessInfo", nil)
	ok(t, err)
	var processes struct {
		ProcessInfo []struct {
			Type string
			ID   int
		}
	}
	text, err := json.Marshal(answer)
	ok(t, err)
	ok(t, json.Unmarshal(text, &processes))
	found := tab{}
	for _, one := range processes.ProcessInfo {
		if one.Type == "renderer" {
			found.pid = one.ID
		}
	}
	if found.pid == 0 {
		t.Fatalf("no renderer: %s", text)
	}
	return found
}

// measure watches the memory of the tab's own, in kB, until most is called.
func (o tab) measure() (most func() int) {
	peak, stop := 0, make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			peak = max(peak, o.memory())
			select {
			case <-stop:
				return
			case <-time.After(everyMeasure):
			}
		}
	})
	return func() int {
		close(stop)
		wg.Wait()
		return peak
	}
}

// memory is RssAnon of the process.
func (o tab) memory() int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", o.pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "RssAnon:")
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		return 0
	}
	return n
}

// longTasks returns the processor time of the tasks of a tab that took too long.
func longTasks(t *testing.T, trace []byte, pid int) (long []time.Duration) {
	t.Helper()
	var events struct {
		TraceEvents []struct {
			Name      string
			PID, TID  int
			Took      float64 `json:"dur"` // µs
			Processor float64 `json:"tdur"`
			Args      struct{ Name string }
		}
	}
	ok(t, json.Unmarshal(trace, &events))
	main, tasks := 0, 0
	for _, e := range events.TraceEvents {
		if e.Name == "thread_name" && e.PID == pid && e.Args.Name == "CrRendererMain" {
			main = e.TID
		}
	}
	for _, e := range events.TraceEvents {
		if e.PID != pid || e.TID != main || !strings.HasSuffix(e.Name, "RunTask") {
			continue
		}
		tasks++
		if took := time.Duration(min(e.Took, e.Processor) * float64(time.Microsecond)); took > longTask {
			long = append(long, took)
		}
	}
	if tasks < 100 {
		t.Fatalf("the trace has %d tasks", tasks)
	}
	return long
}
