package hostile

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"slipway/e2e/program"

	"slipway/internal/slipway"
)

// drip is a body that comes a byte a second.
type drip struct {
	content []byte
	gone    <-chan struct{}
}

func (d *drip) Read(p []byte) (int, error) {
	if len(d.content) == 0 {
		return 0, io.EOF
	}
	select {
	case <-time.After(time.Second):
	case <-d.gone:
		return 0, errors.New("the sender has gone")
	}
	p[0], d.content = d.content[0], d.content[1:]
	return 1, nil
}

// TestSlowSender has somebody send a byte a second: nobody else waits for it,
// and what it sent is still there when it comes back in a hurry.
func TestSlowSender(t *testing.T) {
	b := program.StartPortal(t, filepath.Join(t.TempDir(), "data"), "--reserve", "0")
	archive := program.ArchiveOf(map[string]string{"dags/slow.py": "# airflow DAG\n"})
	r, number, err := b.BeginUpload(b.World.Sales.ID, slipway.AddFiles, len(archive))
	if err != nil || r.Status != http.StatusCreated {
		t.Fatalf("answer %d, %v: %s", r.Status, err, r.Body)
	}
	upload, gone, over := r.Location(), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		_, _ = b.AppendUpload(upload, 0, &drip{archive, gone}) // it breaks off
	}()
	for until := time.Now().Add(4 * time.Second); time.Now().Before(until); {
		began := time.Now()
		b.MustDeploy(t)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("another deploy took %s beside it", took)
		}
	}
	close(gone)
	<-over
	offset := offset(t, b, upload)
	if offset < 1 || offset > 60 {
		t.Fatalf("%d bytes are there", offset)
	}
	if r, err = b.AppendUpload(upload, offset, &whole{archive[offset:]}); err != nil || r.Status != http.StatusNoContent {
		t.Fatalf("answer %d, %v: %s", r.Status, err, r.Body)
	}
	if _, ok, err := b.Consent(program.DeployURL(b.World.Sales.ID, number), 10*time.Second); !ok || err != nil {
		t.Errorf("it is not staged: %v", err)
	}
}

// whole is a body whose length is not known before.
type whole struct{ content []byte }

func (w *whole) Read(p []byte) (int, error) {
	if len(w.content) == 0 {
		return 0, io.EOF
	}
	n := copy(p, w.content)
	w.content = w.content[n:]
	return n, nil
}

// offset asks how far an upload is, once nobody else sends it.
func offset(t *testing.T, b *program.Portal, upload string) (offset int) {
	t.Helper()
	r, err := b.Send(http.MethodHead, upload, nil, program.TusHeader())
	if err == nil {
		_, err = fmt.Sscan(r.Header.Get("Upload-Offset"), &offset)
	}
	if err != nil {
		t.Fatalf("answer %d, %v", r.Status, err)
	}
	return offset
}

// TestHundredUploads has a hundred people upload at once.
func TestHundredUploads(t *testing.T) {
	b := program.StartPortal(t, filepath.Join(t.TempDir(), "data"), "--reserve", "0")
	b.MustDeploy(t)
	const people = 100
	b.ResetPeak(t)
	rest, began := b.PeakMemory(t), time.Now()
	numbers := make([]int, people)
	var wg sync.WaitGroup
	for i := range people {
		wg.Go(func() {
			archive := program.ArchiveOf(map[string]string{fmt.Sprintf("dags/crowd_%d.py", i): fmt.Sprintf("# airflow DAG %d\n", i)})
			number, r, err := b.Upload(b.World.Sales.ID, slipway.AddFiles, archive)
			if err != nil || r.Status != http.StatusNoContent {
				t.Errorf("answer %d, %v: %s", r.Status, err, r.Body)
			}
			numbers[i] = number
		})
	}
	wg.Wait()
	seen := map[int]bool{}
	for _, number := range numbers {
		if seen[number] {
			t.Errorf("two uploads are #%d", number)
		}
		seen[number] = true
		if _, ok, err := b.Consent(program.DeployURL(b.World.Sales.ID, number), time.Minute); !ok || err != nil {
			t.Fatalf("#%d is not staged: %v", number, err)
		}
	}
	t.Logf("%d uploads were staged in %s, with %d MiB more memory", people, time.Since(began).Round(time.Millisecond), b.PeakMemory(t)-rest)
	if grown := b.PeakMemory(t) - rest; grown > 256 {
		t.Errorf("it took %d MiB", grown)
	}
	b.MustDeploy(t)
}
