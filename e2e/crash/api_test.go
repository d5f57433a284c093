package crash

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"slipway/e2e/program"

	"slipway/internal/slipway"
)

// keyedDeploy is a request to deploy an archive, which can be sent again.
type keyedDeploy struct {
	of      slipway.DeploymentID
	key     string
	archive []byte
	files   listing
	sent    int // when it was sent first
}

// deployByAPI deploys as the astro CLI does, or as CI does in one request.
func (w *worker) deployByAPI() (program.Reply, error) {
	if w.rng.IntN(2) == 0 {
		return w.deployKeyed()
	}
	begun, r, err := w.uploadByAPI()
	if err != nil || r.Status != http.StatusCreated || w.rng.IntN(10) == 0 {
		return r, err // the CLI does not finalize all that it begins
	}
	return w.finalize(begun, r.Header.Get("x-ms-version-id"))
}

// uploadByAPI begins a deploy and uploads its files. The answer is the last one;
// all is well if it is 201.
func (w *worker) uploadByAPI() (begun apiDeploy, r program.Reply, err error) {
	r, err = w.asks(w.deploys(), `{"type":"DAG_ONLY","description":""}`)
	if err != nil || r.Status != http.StatusOK {
		return begun, r, err
	}
	if err := json.Unmarshal([]byte(r.Body), &begun); err != nil {
		return begun, r, err
	}
	archive, files := randomArchive(w.rng)
	w.noteAPI(begun.Number, func(a *acked, _ int) { a.mine, a.merge, a.files = true, slipway.ReplaceAll, files })
	r, err = w.putBlob(strings.TrimPrefix(begun.DagsUploadURL, w.Base), archive)
	if err == nil && r.Status == http.StatusCreated {
		w.noteAPI(begun.Number, func(a *acked, _ int) { a.arrived = true })
	}
	return begun, r, err
}

// stagedByAPI is uploadByAPI, and waits until the files are checked. finalize is
// nil if they are not.
func (w *worker) stagedByAPI() (finalize func() (program.Reply, error), err error) {
	begun, r, err := w.uploadByAPI()
	if err != nil || r.Status != http.StatusCreated {
		return nil, err
	}
	_, staged, err := w.Consent(program.DeployURL(w.of, begun.Number), 2*time.Second)
	if err != nil || !staged {
		return nil, err
	}
	return func() (program.Reply, error) { return w.finalizeOnce(begun, r.Header.Get("x-ms-version-id")) }, nil
}

// apiDeploy is a deploy as the API shows it.
type apiDeploy struct {
	ID, DagsUploadURL, DagTarballVersion string
	ImageRepository, ImageTag            string
	Number                               int
}

func (w *worker) deploys() string {
	return fmt.Sprintf("/v1/organizations/%s/deployments/%s/deploys", slipway.OrganizationID, w.of)
}

func (w *worker) noteAPI(number int, change func(a *acked, now int)) {
	w.last = max(w.last, number)
	w.model.note(w.of, number, change)
}

// asks posts a request to the API.
func (w *worker) asks(path, body string) (program.Reply, error) {
	return w.Send(http.MethodPost, path, strings.NewReader(body), w.bearer("application/json"))
}

func (w *worker) bearer(kind string) http.Header {
	return http.Header{"Authorization": {"Bearer " + w.token}, "Content-Type": {kind}}
}

// finalize finalizes a deploy whose files are there, mostly once.
func (w *worker) finalize(begun apiDeploy, version string) (r program.Reply, err error) {
	for range 1 + w.rng.IntN(5)/4 {
		if r, err = w.finalizeOnce(begun, version); err != nil || r.Status != http.StatusOK {
			return r, err
		}
	}
	return r, err
}

// finalizeOnce is finalize in one request, and notes what was answered.
func (w *worker) finalizeOnce(begun apiDeploy, version string) (program.Reply, error) {
	w.model.note(w.of, begun.Number, func(a *acked, now int) {
		if a.sent == 0 {
			a.sent = now
		}
	})
	r, err := w.asks(w.deploys()+"/"+begun.ID+"/finalize", `{"dagTarballVersion":"`+version+`"}`)
	if err != nil {
		return r, err
	}
	var got struct {
		Number  int
		Message string
	}
	if err := json.Unmarshal([]byte(r.Body), &got); err != nil {
		w.found(fmt.Sprintf("finalize of #%d: answer %d is no JSON: %s", begun.Number, r.Status, r.Body))
	}
	if r.Status == http.StatusOK && got.Number != begun.Number {
		w.found(fmt.Sprintf("finalize of #%d: the answer is about #%d", begun.Number, got.Number))
	}
	w.model.note(w.of, begun.Number, func(a *acked, now int) {
		switch {
		case r.Status != http.StatusOK && a.confirmed == 0:
			a.refused = got.Message
		case r.Status == http.StatusOK && a.confirmed == 0:
			a.confirmed = now
		}
	})
	return r, err
}

// putBlob sends an archive whole, or in blocks of which some come twice.
func (w *worker) putBlob(path string, archive []byte) (r program.Reply, err error) {
	if w.rng.IntN(3) == 0 {
		return w.Send(http.MethodPut, path, bytes.NewReader(archive), http.Header{"X-Ms-Blob-Type": {"BlockBlob"}})
	}
	list := "<BlockList>"
	for i, at := 0, 0; at < len(archive); i++ {
		end := min(len(archive), at+1+w.rng.IntN(len(archive)))
		id := base64.URLEncoding.EncodeToString(fmt.Appendf(nil, "block-%04d-", i)) // without + and /
		for range 1 + w.rng.IntN(4)/3 {
			if r, err = w.Send(http.MethodPut, path+"&comp=block&blockid="+id, bytes.NewReader(archive[at:end]), http.Header{}); err != nil || r.Status != http.StatusCreated {
				return r, err
			}
		}
		list += "<Latest>" + id + "</Latest>"
		at = end
	}
	return w.Send(http.MethodPut, path+"&comp=blocklist", strings.NewReader(list+"</BlockList>"), http.Header{})
}

// keyedWord begins the descriptions by which deploys of one key are known.
const keyedWord = "key "

// deployKeyed deploys an archive in one request, or sends one again that was
// never answered: however often it comes, it deploys once.
func (w *worker) deployKeyed() (program.Reply, error) {
	k, again := w.model.unanswered(w.of)
	if !again {
		k = keyedDeploy{of: w.of, key: fmt.Sprintf("%x-%x", w.rng.Uint64(), w.rng.Uint64()), sent: w.model.now()}
		k.archive, k.files = randomArchive(w.rng)
	}
	h := w.bearer("application/octet-stream")
	h.Set("Idempotency-Key", k.key)
	r, err := w.Send(http.MethodPost, w.deploys()+"/upload?description="+strings.ReplaceAll(keyedWord, " ", "+")+k.key, bytes.NewReader(k.archive), h)
	if err != nil {
		w.model.remember(k)
		return r, err
	}
	var done apiDeploy
	if r.Status != http.StatusOK {
		return r, nil
	}
	if err := json.Unmarshal([]byte(r.Body), &done); err != nil {
		return r, err
	}
	w.model.count("in one request")
	w.noteAPI(done.Number, func(a *acked, now int) {
		a.mine, a.arrived, a.merge, a.files = true, true, slipway.ReplaceAll, k.files
		a.sent, a.confirmed = k.sent, now
	})
	return r, nil
}

// unanswered returns a request for a Deployment that no answer came to, if there
// is one, and forgets it.
func (m *model) unanswered(of slipway.DeploymentID) (k keyedDeploy, found bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, each := range m.keyed {
		if each.of == of {
			m.keyed = append(m.keyed[:i:i], m.keyed[i+1:]...)
			return each, true
		}
	}
	return k, false
}

func (m *model) remember(k keyedDeploy) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keyed = append(m.keyed, k)
}

// onceEach checks that no request went live twice that came more than once. After
// a failed deploy, the request is tried again.
func onceEach(f facts) (wrong []string) {
	live := map[string]int{}
	for of, all := range f.deploys {
		for _, w := range all {
			if !strings.HasPrefix(w.Description, keyedWord) || w.Position == 0 || w.Status == slipway.Failed {
				continue
			}
			if first := live[w.Description]; first != 0 {
				wrong = append(wrong, fmt.Sprintf("#%d and #%d of %s were made by one request, %s", first, w.Number, of, w.Description))
			}
			live[w.Description] = w.Number
		}
	}
	return wrong
}
