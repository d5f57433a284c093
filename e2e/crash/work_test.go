package crash

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"sync"
	"time"

	"slipway/e2e/program"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"slipway/internal/slipway"
)

// worker drives one Deployment, with choices from a seeded generator, until
// the portal is killed.
type worker struct {
	*program.Visitor
	rng    *rand.Rand
	of     slipway.DeploymentID
	model  *model
	token  string     // for the API
	images []v1.Image // to push
	last   int        // the highest number that it knows

	mu    sync.Mutex
	wrong []string // that it was answered

	changed func() // called with each answer to a change
}

// run works until a request fails. Every answer is judged; what is wrong with
// them is returned.
func (w *worker) run() []string {
	w.OnReply = func(method, path string, r program.Reply) {
		if method != http.MethodGet {
			w.changed()
		}
		if text := judged(method, path, r); text != "" {
			w.found(text)
		}
	}
	for {
		if _, err := w.act(); err != nil {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.wrong
		}
	}
}

// found notes what is wrong with an answer.
func (w *worker) found(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrong = append(w.wrong, text)
}

// act does one thing that people do.
func (w *worker) act() (program.Reply, error) {
	switch n := w.rng.IntN(100); {
	case n < 16:
		return w.deployByAPI()
	case n < 22:
		return w.rush()
	case n < 30:
		return w.deployImage()
	case n < 62 || w.last < 3:
		return w.deploy()
	case n < 74:
		return w.goBack()
	case n < 82:
		return w.cancel(1 + w.rng.IntN(w.last))
	case n < 90:
		return w.turn()
	case n < 94:
		return w.settings()
	}
	return w.look()
}

// deploy uploads files and, mostly, confirms them.
func (w *worker) deploy() (program.Reply, error) {
	merge := slipway.AddFiles
	if w.rng.IntN(3) == 0 {
		merge = slipway.ReplaceAll
	}
	archive, files := randomArchive(w.rng)
	number, r, err := w.bring(merge, archive, files)
	if err != nil || number == 0 {
		return r, err
	}
	w.last = max(w.last, number)
	if w.rng.IntN(12) == 0 {
		return w.cancel(number)
	}
	if w.rng.IntN(12) == 0 {
		return r, nil // somebody else's to confirm, or nobody's
	}
	return w.confirm(number)
}

// bring uploads an archive, in one of the ways in which they come. number is 0
// if it was refused.
func (w *worker) bring(merge slipway.Merge, archive []byte, files listing) (number int, r program.Reply, err error) {
	known := func(a *acked, _ int) { a.mine, a.merge, a.files = true, merge, files }
	if w.rng.IntN(5) == 0 {
		r, err = w.UploadByForm(w.of, merge, "dags.tar.gz", archive)
		if err != nil || r.Status != http.StatusSeeOther {
			return 0, r, err
		}
		number = program.NumberIn(r.Location())
		w.model.note(w.of, number, known)
	} else {
		if r, number, err = w.BeginUpload(w.of, merge, len(archive)); err != nil || r.Status != http.StatusCreated {
			return 0, r, err
		}
		w.model.note(w.of, number, known)
		if r, err = w.inPieces(r.Location(), archive); err != nil || r.Status != http.StatusNoContent {
			return 0, r, err
		}
	}
	w.model.note(w.of, number, func(a *acked, _ int) { a.arrived = true })
	return number, r, nil
}

// inPieces sends an upload in up to three requests.
func (w *worker) inPieces(upload string, archive []byte) (r program.Reply, err error) {
	for at := 0; at < len(archive); {
		end := len(archive)
		if w.rng.IntN(2) == 0 {
			end = at + 1 + w.rng.IntN(len(archive)-at)
		}
		if r, err = w.AppendUpload(upload, at, bytes.NewReader(archive[at:end])); err != nil || r.Status != http.StatusNoContent {
			return r, err
		}
		at = end
	}
	return r, nil
}

// confirm reads the changes of a deploy and confirms it.
func (w *worker) confirm(number int) (program.Reply, error) {
	form, ok, err := w.Consent(program.DeployURL(w.of, number), 2*time.Second)
	if err != nil || !ok {
		return program.Reply{}, err
	}
	w.model.note(w.of, number, func(a *acked, now int) { a.sent = now })
	r, err := w.Form(program.DeployURL(w.of, number)+"/confirm", form)
	if err == nil && r.Status == http.StatusSeeOther {
		w.model.note(w.of, number, func(a *acked, now int) { a.confirmed = now })
	}
	return r, err
}

// goBack returns to some deploy before.
func (w *worker) goBack() (program.Reply, error) {
	to := 1 + w.rng.IntN(w.last)
	page := program.DeployURL(w.of, to) + "/return"
	form, ok, err := w.Consent(page, time.Second)
	if err != nil || !ok {
		return program.Reply{}, err
	}
	sent := w.model.now()
	form.Set("reason", "as it was")
	r, err := w.Form(page, form)
	if err == nil && r.Status == http.StatusSeeOther {
		number := program.NumberIn(r.Location())
		w.last = max(w.last, number)
		w.model.note(w.of, number, func(a *acked, now int) { a.mine, a.returnTo, a.sent, a.confirmed = true, to, sent, now })
	}
	return r, err
}

func (w *worker) cancel(number int) (program.Reply, error) {
	w.model.note(w.of, number, func(a *acked, _ int) { a.cancelSent = true })
	r, err := w.Form(program.DeployURL(w.of, number)+"/cancel", url.Values{})
	if err == nil && r.Status == http.StatusSeeOther {
		w.model.note(w.of, number, func(a *acked, _ int) { a.dropped = true })
	}
	return r, err
}

// turn turns the switch off, mostly for a moment only. A deploy of the API that is
// finalized in that moment is refused, although its files were fine.
func (w *worker) turn() (program.Reply, error) {
	finalize, err := w.stagedByAPI()
	if err != nil {
		return program.Reply{}, err
	}
	for _, to := range []string{"off", "on"} {
		r, err := w.Form(program.DeploymentURL(w.of)+"/switch", url.Values{"to": {to}, "at_hand": {"yes"}})
		if err != nil {
			return r, err
		}
		if r.Status == http.StatusSeeOther {
			w.model.mu.Lock()
			w.model.switched[w.of]++
			w.model.mu.Unlock()
		}
		if to == "off" && finalize != nil {
			if r, err := finalize(); err != nil {
				return r, err
			}
		}
		if to == "off" {
			time.Sleep(time.Duration(w.rng.IntN(40)) * time.Millisecond)
		}
	}
	return w.look()
}

// settings saves another number of versions to keep.
func (w *worker) settings() (program.Reply, error) {
	keep := slipway.DefaultKeepVersions + w.rng.IntN(3)
	w.model.mu.Lock()
	if len(w.model.keep[w.of]) == 0 {
		w.model.keep[w.of] = []int{slipway.DefaultKeepVersions}
	}
	w.model.keep[w.of] = append(w.model.keep[w.of], keep)
	w.model.mu.Unlock()
	return w.Form(program.DeploymentURL(w.of)+"/settings/versions", url.Values{"keep_days": {"1"}, "keep_versions": {strconv.Itoa(keep)}})
}

// look reads pages, as people do meanwhile.
func (w *worker) look() (program.Reply, error) {
	for _, path := range []string{"", "/deploys", "/versions"} {
		if r, err := w.Page(program.DeploymentURL(w.of) + path); err != nil || path == "/versions" {
			return r, err
		}
	}
	return program.Reply{}, nil
}

// randomArchive returns a .tar.gz of a dags folder, and what is in it. Few
// names recur, so that files change, and few contents, so that they are shared.
func randomArchive(rng *rand.Rand) ([]byte, listing) {
	n := 1 + rng.IntN(8)
	if rng.IntN(12) == 0 {
		n = 70 + rng.IntN(30) // more than are synced one by one
	}
	files := listing{}
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	tw := tar.NewWriter(zip)
	for i := range n {
		name := fmt.Sprintf("team%d/dag_%d.py", rng.IntN(3), rng.IntN(12))
		if n > 12 {
			name = fmt.Sprintf("bulk/dag_%d.py", i)
		}
		if _, there := files[name]; there {
			continue
		}
		if rng.IntN(10) == 0 && i > 0 {
			to := path.Base(name)
			name = path.Join(path.Dir(name), "link_"+to) // to a file that may be there
			if _, there := files[name]; there {
				continue
			}
			files[name] = described("", to, false)
			program.WriteEntry(tw, &tar.Header{Name: "dags/" + name, Typeflag: tar.TypeSymlink, Linkname: to}, nil)
			continue
		}
		content, mode := randomContent(rng), int64(0o644)
		if rng.IntN(6) == 0 {
			mode = 0o755
		}
		sum := sha256.Sum256(content)
		files[name] = described(hex.EncodeToString(sum[:]), "", mode == 0o755)
		program.WriteEntry(tw, &tar.Header{Name: "dags/" + name, Mode: mode, Size: int64(len(content))}, content)
	}
	if tw.Close() != nil || zip.Close() != nil {
		panic("a buffer cannot fail")
	}
	return out.Bytes(), files
}

func randomContent(rng *rand.Rand) []byte {
	text := fmt.Sprintf("from airflow import DAG\n# %d\n", rng.IntN(400))
	if rng.IntN(40) == 0 {
		return bytes.Repeat([]byte(text), 60_000) // too large to be held in memory
	}
	return bytes.Repeat([]byte(text), 1+rng.IntN(40))
}
