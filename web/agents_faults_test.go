package web

import (
	"bytes"
	"encoding/pem"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"slipway/internal/slipway"
)

// line is the way from an agent to the portal, on which packs can suffer.
type line struct {
	portal http.Handler
	spoil  atomic.Pointer[func(w http.ResponseWriter, r *http.Request, portal http.Handler)]
}

// ServeHTTP passes everything on, packs by way of spoil.
func (l *line) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	spoil := l.spoil.Load()
	if spoil != nil && strings.Contains(r.URL.Path, "/packs/") {
		(*spoil)(w, r, l.portal)
		return
	}
	l.portal.ServeHTTP(w, r)
}

// behind has agents of a Deployment elsewhere come by a line of their own.
func behind(t *testing.T) (a *app, l *line, dir string) {
	t.Helper()
	a = newApp(t)
	a.run(t)
	a.Sales = a.remoteDeployment(t)
	token, _ := a.agentToken(t, a.Sales.ID)
	l = &line{portal: a.handler}
	server := httptest.NewServer(l)
	t.Cleanup(server.Close)
	dir, stop := runRemote(t, server.URL, nil, token, "worker-0")
	t.Cleanup(stop) // before the server closes
	eventually(t, "it has reported", func() bool { return len(a.engine.Components(a.Sales.ID)) == 1 })
	return a, l, dir
}

// noise is text that does not compress.
func noise(n int) string {
	b := make([]byte, n)
	source := rand.NewChaCha8([32]byte{1})
	_, _ = source.Read(b) // it never fails
	return string(b)
}

func wantTree(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if b, err := os.ReadFile(filepath.Join(dir, "current/dags", name)); err != nil || string(b) != files[name] {
			t.Errorf("%s: %d bytes, %v, want %d", name, len(b), err, len(files[name]))
		}
	}
}

func TestBrokenDownloadsAreResumed(t *testing.T) {
	for name, spoil := range map[string]func(n int32, w http.ResponseWriter, r *http.Request, portal http.Handler){
		"cut off in the middle": func(n int32, w http.ResponseWriter, r *http.Request, portal http.Handler) {
			if n > 3 {
				portal.ServeHTTP(w, r)
				return
			}
			whole := httptest.NewRecorder()
			portal.ServeHTTP(whole, r)
			maps.Copy(w.Header(), whole.Header())
			w.WriteHeader(whole.Code)
			_, _ = w.Write(whole.Body.Bytes()[:whole.Body.Len()/3]) // the reader may have gone
			panic(http.ErrAbortHandler)
		},
		"refused at first": func(n int32, w http.ResponseWriter, r *http.Request, portal http.Handler) {
			if n <= 2 {
				http.Error(w, "try later", http.StatusBadGateway)
				return
			}
			portal.ServeHTTP(w, r)
		},
		"ranges ignored": func(n int32, w http.ResponseWriter, r *http.Request, portal http.Handler) {
			if n == 1 {
				http.Error(w, "try later", http.StatusBadGateway)
				return
			}
			r.Header.Del("Range")
			portal.ServeHTTP(w, r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, l, dir := behind(t)
			var asked atomic.Int32
			fn := func(w http.ResponseWriter, r *http.Request, portal http.Handler) { spoil(asked.Add(1), w, r, portal) }
			l.spoil.Store(&fn)
			files := map[string]string{"a.py": dag, "big.bin": noise(3 << 20), "small.bin": noise(70_000)}
			w := a.live(t, a.Eve, files)
			wantTree(t, dir, files)
			if all := a.engine.Components(a.Sales.ID); len(all) != 1 || all[0].Version != w.Version || all[0].Error != "" {
				t.Errorf("components %+v", all)
			}
			if asked.Load() < 2 {
				t.Errorf("%d requests: nothing was resumed", asked.Load())
			}
		})
	}
}

func TestTamperedPackIsRefused(t *testing.T) {
	a, l, dir := behind(t)
	before := map[string]string{"a.py": dag}
	first := a.live(t, a.Eve, before)
	tamper := func(w http.ResponseWriter, r *http.Request, portal http.Handler) {
		whole := httptest.NewRecorder()
		portal.ServeHTTP(whole, r)
		b := bytes.Clone(whole.Body.Bytes())
		if len(b) > 100 {
			b[len(b)/2] ^= 0x55
		}
		maps.Copy(w.Header(), whole.Header())
		w.WriteHeader(whole.Code)
		_, _ = w.Write(b) // the reader may have gone
	}
	l.spoil.Store(&tamper)
	w := a.staged(t, a.Eve, map[string]string{"a.py": dag + "# 2", "b.bin": noise(200_000)})
	r, err := a.engine.Review(t.Context(), a.Sales.ID, w.Number, a.Eve)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.engine.Confirm(t.Context(), a.Sales.ID, w.Number, a.Eve, r.Base, slipway.Ticks{}); err != nil {
		t.Fatal(err)
	}
	w = a.reaches(t, w.Number, slipway.Failed)
	if !strings.Contains(w.Reason, "worker-0: Version "+w.Version.Short()+" cannot be mounted: ") {
		t.Errorf("reason %q", w.Reason)
	}
	wantTree(t, dir, before)
	all := a.engine.Components(a.Sales.ID)
	if len(all) != 1 || all[0].Version != first.Version {
		t.Errorf("components %+v, want the first version still", all)
	}
	mia := a.as(t, a.Mia)
	eventually(t, "the list says why", func() bool { // not while the agent tries again
		w := mia.get(workspacePath(a.Workspace.ID))
		return w.Code == http.StatusOK && strings.Contains(w.Body.String(), "UNHEALTHY") && strings.Contains(w.Body.String(), "worker-0: Version")
	})

	l.spoil.Store(nil)
	eventually(t, "it heals by itself", func() bool {
		all := a.engine.Components(a.Sales.ID)
		return len(all) == 1 && all[0].Version == w.Version && all[0].Error == ""
	})
}

func TestAgentTrustsAPrivateCA(t *testing.T) {
	a := newApp(t)
	a.run(t)
	a.Sales = a.remoteDeployment(t)
	token, _ := a.agentToken(t, a.Sales.ID)
	server := httptest.NewTLSServer(a.handler)
	t.Cleanup(server.Close)
	server.Config.ErrorLog = nil
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	_, stop := runRemote(t, server.URL, nil, token, "distrustful")
	t.Cleanup(stop)
	_, stop = runRemote(t, server.URL, ca, token, "trusting")
	t.Cleanup(stop)
	eventually(t, "the one that trusts it reports", func() bool { return len(a.engine.Components(a.Sales.ID)) > 0 })
	if all := a.engine.Components(a.Sales.ID); len(all) != 1 || all[0].Component != "trusting" {
		t.Errorf("components %+v", all)
	}
}
