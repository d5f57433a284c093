package crash

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"slipway/e2e/program"

	"slipway/internal/auth"
	"slipway/internal/datadir"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

const (
	crowdRounds    = 2   // unless SLIPWAY_CROWD_ROUNDS says otherwise
	crowdFinalizes = 100 // by the astro CLI's requests, all at once
	crowdUploads   = 100 // by CI's one request, all at once
	crowdPeople    = 20  // upload and confirm on the pages, all at once
	crowdMemory    = 64  // MiB that the portal may grow by
)

// TestCrowd has two hundred clients of three kinds deploy to one Deployment at
// once, round after round. Each deploy goes live, in the order in which they were
// acknowledged, or its client is told why not.
func TestCrowd(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	b := program.StartPortal(t, data, "--reserve", "0")
	c := &crowd{Portal: b, token: crowdToken(t, data, b.World)}
	c.round(t, 0) // whatever is only needed once, is in memory then
	c.settle(t)
	b.ResetPeak(t)
	rest, began, rounds := b.PeakMemory(t), time.Now(), numberFrom(t, "SLIPWAY_CROWD_ROUNDS", crowdRounds)
	for n := range rounds {
		c.round(t, n+1)
		if t.Failed() {
			return
		}
	}
	c.settle(t)
	t.Logf("%d deploys in %d rounds took %s and %d MiB", len(c.all), rounds, time.Since(began).Round(time.Millisecond), b.PeakMemory(t)-rest)
	if grown := b.PeakMemory(t) - rest; grown > crowdMemory {
		t.Errorf("the portal took %d MiB more, at most %d are right", grown, crowdMemory)
	}
}

// crowdToken makes an Author's token beside the portal that runs.
func crowdToken(t *testing.T, data string, w storetest.World) (token string) {
	t.Helper()
	st := storetest.OpenAt(t, filepath.Join(data, datadir.Database))
	storetest.Update(t, st, func(tx *store.Tx) (err error) {
		token, _, err = auth.AddToken(tx, store.Token{Name: "ci", Workspace: w.Workspace.ID, Role: slipway.Author})
		return err
	})
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	return token
}

// crowd is many clients of one portal.
type crowd struct {
	*program.Portal
	token string
	clock atomic.Int64 // grows with each request and each answer

	mu  sync.Mutex
	all []crowdDeploy // that were acknowledged
}

// crowdDeploy is the deploy of one client, which brings one DAG.
type crowdDeploy struct {
	path, text     string
	archive        []byte
	merge          slipway.Merge
	number         int
	sent, answered int64
}

// acknowledged notes that w was answered with success.
func (c *crowd) acknowledged(w crowdDeploy) {
	w.answered = c.clock.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, w)
}

// brings returns what client i deploys in a round.
func (c *crowd) brings(round, i int) crowdDeploy {
	path, text := fmt.Sprintf("crowd/dag_%03d.py", i), fmt.Sprintf("from airflow import DAG  # round %d, client %d\n", round, i)
	return crowdDeploy{path: path, text: text, archive: program.ArchiveOf(map[string]string{"dags/" + path: text}), merge: slipway.AddFiles}
}

// round has each client deploy once. What only prepares a deploy is done before.
func (c *crowd) round(t *testing.T, n int) {
	var ready, done sync.WaitGroup
	open := make(chan struct{})
	for i := range crowdFinalizes + crowdUploads + crowdPeople {
		act := c.byPerson
		switch {
		case i < crowdFinalizes:
			act = c.byCLI
		case i < crowdFinalizes+crowdUploads:
			act = c.byCI
		}
		ready.Add(1)
		done.Go(func() {
			once := sync.OnceFunc(ready.Done)
			defer once() // where it fails before
			act(t, c.brings(n, i), func() {
				once()
				<-open
			})
		})
	}
	ready.Wait()
	close(open)
	done.Wait()
}

func (c *crowd) deploys() string {
	return fmt.Sprintf("/v1/organizations/%s/deployments/%s/deploys", slipway.OrganizationID, c.World.Sales.ID)
}

func (c *crowd) bearer(kind string) http.Header {
	return http.Header{"Authorization": {"Bearer " + c.token}, "Content-Type": {kind}}
}

// byCLI deploys as the astro CLI does, which replaces everything: its finalize
// comes with all others.
func (c *crowd) byCLI(t *testing.T, w crowdDeploy, wait func()) {
	var begun apiDeploy
	r, err := c.Send(http.MethodPost, c.deploys(), strings.NewReader(`{"type":"DAG_ONLY"}`), c.bearer("application/json"))
	if err == nil {
		err = json.Unmarshal([]byte(r.Body), &begun)
	}
	if err != nil || r.Status != http.StatusOK {
		t.Errorf("create: answer %d, %v: %s", r.Status, err, r.Said())
		return
	}
	r, err = c.Send(http.MethodPut, strings.TrimPrefix(begun.DagsUploadURL, c.Base), bytes.NewReader(w.archive), http.Header{"X-Ms-Blob-Type": {"BlockBlob"}})
	if err != nil || r.Status != http.StatusCreated {
		t.Errorf("upload: answer %d, %v: %s", r.Status, err, r.Said())
		return
	}
	version := r.Header.Get("x-ms-version-id")
	wait()
	w.number, w.merge, w.sent = begun.Number, slipway.ReplaceAll, c.clock.Add(1)
	r, err = c.Send(http.MethodPost, c.deploys()+"/"+begun.ID+"/finalize", strings.NewReader(`{"dagTarballVersion":"`+version+`"}`), c.bearer("application/json"))
	c.judge(t, "finalize", w, r, err)
}

// byCI deploys in one request.
func (c *crowd) byCI(t *testing.T, w crowdDeploy, wait func()) {
	wait()
	w.sent = c.clock.Add(1)
	r, err := c.Send(http.MethodPost, c.deploys()+"/upload?merge=add", bytes.NewReader(w.archive), c.bearer("application/octet-stream"))
	c.judge(t, "deploys/upload", w, r, err)
}

// judge notes an answer of the API. The number of w is 0 while it is not known.
func (c *crowd) judge(t *testing.T, what string, w crowdDeploy, r program.Reply, err error) {
	var got apiDeploy
	if err == nil {
		err = json.Unmarshal([]byte(r.Body), &got)
	}
	switch {
	case err != nil || r.Status != http.StatusOK:
		t.Errorf("%s of #%d: answer %d, %v: %s", what, w.number, r.Status, err, r.Said())
	case w.number != 0 && got.Number != w.number:
		t.Errorf("%s of #%d: the answer is about #%d", what, w.number, got.Number)
	default:
		w.number = got.Number
		c.acknowledged(w)
	}
}

// byPerson uploads on a page, reads what the deploy will do, and confirms it:
// again where somebody came in between.
func (c *crowd) byPerson(t *testing.T, w crowdDeploy, wait func()) {
	of := c.World.Sales.ID
	number, r, err := c.Upload(of, w.merge, w.archive)
	if err != nil || r.Status != http.StatusNoContent {
		t.Errorf("upload: answer %d, %v: %s", r.Status, err, r.Said())
		return
	}
	w.number = number
	consent, ok, err := c.Consent(program.DeployURL(of, number), 5*time.Minute)
	if err != nil || !ok {
		t.Errorf("#%d is not staged: %v", number, err)
		return
	}
	wait()
	for {
		w.sent = c.clock.Add(1)
		r, err := c.Form(program.DeployURL(of, number)+"/confirm", consent)
		next, asked := program.ConsentOn(r.Body)
		switch {
		case err == nil && r.Status == http.StatusSeeOther:
			c.acknowledged(w)
			return
		case err != nil || r.Status != http.StatusConflict || !strings.Contains(r.Said(), "came in between") || !asked:
			t.Errorf("confirm #%d: answer %d, %v: %s", number, r.Status, err, r.Said())
			return
		}
		consent = next
		time.Sleep(3 * time.Second) // they read it
	}
}

// settle waits until all that was acknowledged is live, and checks the order,
// that nothing else is left, and the files.
func (c *crowd) settle(t *testing.T) {
	t.Helper()
	st := storetest.OpenAt(t, filepath.Join(c.Data, datadir.Database))
	defer st.Close()
	var f facts
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		var err error
		if f, err = factsOf(t.Context(), st); err != nil {
			t.Fatal(err)
		}
		if !f.busy() {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the portal does not come to rest")
		}
	}
	all := f.deploys[c.World.Sales.ID]
	for _, w := range all {
		if w.Status != slipway.Deployed {
			t.Errorf("#%d is %s: %s", w.Number, w.Status, w.Reason)
		}
	}
	if len(all) != len(c.all) {
		t.Errorf("%d deploys, %d were acknowledged", len(all), len(c.all))
	}
	for _, wrong := range append(numbering(all), turns(all)...) {
		t.Error(wrong)
	}
	c.wantOrder(t, all)
	got, err := mountedFiles(filepath.Join(c.Data, "mounts", c.World.Sales.Namespace, "current", "dags"))
	if diff := differ(got, c.listing(all)); diff != "" || err != nil {
		t.Errorf("what is mounted %s, %v", diff, err)
	}
}

// listing returns the files that the deploys make, one after the other.
func (c *crowd) listing(all []slipway.Deploy) listing {
	slices.SortFunc(c.all, func(v, w crowdDeploy) int { return int(all[v.number-1].Position - all[w.number-1].Position) })
	files := listing{}
	for _, w := range c.all {
		if w.merge == slipway.ReplaceAll {
			clear(files)
		}
		sum := sha256.Sum256([]byte(w.text))
		files[w.path] = described(hex.EncodeToString(sum[:]), "", false)
	}
	return files
}

// wantOrder checks that a deploy which was sent when another had been
// acknowledged goes live after it.
func (c *crowd) wantOrder(t *testing.T, all []slipway.Deploy) {
	t.Helper()
	wrong := 0
	for _, later := range c.all {
		for _, earlier := range c.all {
			if earlier.answered < later.sent && all[earlier.number-1].Position > all[later.number-1].Position {
				wrong++
			}
		}
	}
	if wrong > 0 {
		t.Errorf("%d pairs of deploys went live in another order than they were acknowledged in", wrong)
	}
}
