package airflow_test

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// switchListsAlways turns DAG-only deploys off and on again, with the deploy
// that follows each. Asked every second, Airflow lists DAGs all the while.
func (s *story) switchListsAlways(t *testing.T) {
	s.deploy(t, s.pair("7", "7"))
	s.listed(t, map[string][]string{"pair": tags("7", "7")})
	if s.uid() != os.Getuid() {
		ok(t, os.Chown(s.image, s.uid(), s.uid()))
	}
	w := s.watch()
	defer w.end(t)

	before := s.current(t)
	s.turn(t, false)
	w.sees(t, 3)
	if at := s.current(t); at != before {
		t.Errorf("current points to %s after the switch, want it to stay at %s", at, before)
	}
	s.followUp(t, files(s.pair("img", "img"), s.sleeper("img")))
	s.soon(t, "to the image's DAGs", map[string][]string{"pair": tags("img", "img"), "sleeper": {"file-img"}})
	w.sees(t, refreshes)
	s.runsFromTheImage(t)

	s.turn(t, true)
	s.timed(t, "to the bundle's DAGs", s.pair("8", "8"), map[string][]string{"pair": tags("8", "8")})
	w.sees(t, refreshes)
}

// runsFromTheImage begins a run and sees it to its end.
func (s *story) runsFromTheImage(t *testing.T) {
	t.Helper()
	run := s.begin(t)
	s.release(t)
	s.succeeds(t, run)
	s.saw(t, "first", map[string]string{"its own code": "img", "file opened late": "img", "module imported late": "img"})
	if s.pinned {
		s.ranAs(t, run, "image", "Deploy history") // the Deployment's page
	}
}

// refreshes is how many seconds Airflow needs, with the settings of the
// examples, to look for files twice.
const refreshes = 11

// watcher asks Airflow every second.
type watcher struct {
	stop   chan struct{}
	wg     sync.WaitGroup
	asked  atomic.Int64
	failed atomic.Int64 // Airflow did not answer
	empty  []string
}

func (s *story) watch() *watcher {
	w := &watcher{stop: make(chan struct{})}
	w.wg.Go(func() {
		every := time.NewTicker(time.Second)
		defer every.Stop()
		for {
			select {
			case <-w.stop:
				return
			case at := <-every.C:
				w.look(s, at)
			}
		}
	})
	return w
}

func (w *watcher) look(s *story, at time.Time) {
	got, err := s.client.dags(s.prefix + "_")
	if err != nil {
		w.failed.Add(1)
		return
	}
	w.asked.Add(1)
	if _, there := got["pair"]; !there {
		w.empty = append(w.empty, fmt.Sprintf("%s: %v", at.UTC().Format(time.TimeOnly), got))
	}
}

func (w *watcher) end(t *testing.T) {
	t.Helper()
	close(w.stop)
	w.wg.Wait()
	if len(w.empty) > 0 {
		t.Errorf("Airflow did not list the DAG: %v", w.empty)
	}
	t.Logf("asked %d times, and %d times in vain", w.asked.Load(), w.failed.Load())
}

// sees waits until Airflow has answered n times more.
func (w *watcher) sees(t *testing.T, n int64) {
	t.Helper()
	enough := w.asked.Load() + n
	until(t, func() error {
		if now := w.asked.Load(); now < enough {
			return fmt.Errorf("Airflow answered %d times, and failed %d times", now, w.failed.Load())
		}
		return nil
	})
}
