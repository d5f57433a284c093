package image_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"slipway/internal/image"
	"slipway/internal/slipway"
)

func TestParseRef(t *testing.T) {
	digest := "sha256:" + strings.Repeat("ab", 32)
	tests := []struct {
		text string
		want image.Ref
		own  bool
	}{
		{"quay.io/team/airflow:1.2", image.Ref{Name: "quay.io/team/airflow", Tag: "1.2"}, false},
		{" quay.io/team/airflow@" + digest + " ", image.Ref{Name: "quay.io/team/airflow", Digest: digest}, false},
		{"quay.io/airflow:1@" + digest, image.Ref{Name: "quay.io/airflow", Tag: "1", Digest: digest}, false},
		{"localhost:5000/a/b:1", image.Ref{Name: "localhost:5000/a/b", Tag: "1"}, false},
		{repository + ":1", image.Ref{Name: repository, Tag: "1"}, true},
	}
	for _, tt := range tests {
		got, err := image.ParseRef(tt.text)
		if err != nil || got != tt.want || got.Own() != tt.own {
			t.Errorf("ParseRef(%q) = %+v, own %v, %v, want %+v, own %v", tt.text, got, got.Own(), err, tt.want, tt.own)
		}
	}
	for text, part := range map[string]string{
		"": "is no reference", "quay.io/team/airflow": "names no tag", "Quay.io/TEAM:1": "is no reference", "a b:1": "is no reference",
		"https://quay.io/a:1": "is no reference", `a"><b>.io/a:1`: "is no reference", "quay.io:99999/a:1": "is no registry", "10.1/a:1": "is no registry", "quay.io:0/a:1": "is no registry", digest: "is no reference", "quay.io/a:" + strings.Repeat("x", 2000): "is no reference",
	} {
		_, err := image.ParseRef(text)
		wantSentence(t, err, part)
	}
}

func TestInspectFacts(t *testing.T) {
	tests := []struct {
		name  string
		edit  func(*v1.ConfigFile)
		items []item
		want  slipway.Image // Runtime, Airflow, DagsPath, User
	}{
		{"Runtime", func(c *v1.ConfigFile) {
			c.Config.Labels = map[string]string{"io.astronomer.docker.runtime.version": "3.1-4", "io.astronomer.docker.airflow.version": "3.1.3"}
			c.Config.Env = []string{"AIRFLOW_HOME=/usr/local/airflow"}
			c.Config.User = "astro"
		}, nil, slipway.Image{Runtime: "3.1-4", Airflow: "3.1.3", DagsPath: "/usr/local/airflow/dags", User: "astro"}},
		{"label of stock Airflow", func(c *v1.ConfigFile) {
			c.Config.Labels = map[string]string{"org.apache.airflow.version": "2.10.5"}
			c.Config.Env = []string{"AIRFLOW_HOME=/opt/airflow/", "AIRFLOW_VERSION=2.10.4"}
		}, nil, slipway.Image{Airflow: "2.10.5", DagsPath: "/opt/airflow/dags"}},
		{"variable", func(c *v1.ConfigFile) { c.Config.Env = []string{"AIRFLOW_VERSION=2.9.0"} }, nil, slipway.Image{Airflow: "2.9.0"}},
		{"known folder", nil, []item{dir("opt/airflow/dags")}, slipway.Image{DagsPath: "/opt/airflow/dags"}},
		{"both known folders", nil, []item{dir("opt/airflow/dags"), file(dagsDir+"/a.py", "a")}, slipway.Image{DagsPath: "/usr/local/airflow/dags"}},
		{"known folder by a symlink", nil, []item{link("opt/airflow", "/srv/af"), dir("srv/af/dags")}, slipway.Image{DagsPath: "/opt/airflow/dags"}},
		{"a file of that name", nil, []item{file("opt/airflow/dags", "no")}, slipway.Image{}},
		{"what nobody believes", func(c *v1.ConfigFile) {
			c.Config.Labels = map[string]string{
				"io.astronomer.docker.runtime.version": "3.1-4\nCOMPOSE_FILE=evil.yml", "org.apache.airflow.version": "2.10.5\x1b[2J",
			}
			c.Config.Env = []string{"AIRFLOW_HOME=/opt\nX=1"}
			c.Config.User = strings.Repeat("x", 256)
		}, nil, slipway.Image{}},
		{"nothing of Airflow", nil, []item{file("etc/passwd", "x")}, slipway.Image{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := open(t)
			digest := p.push(repository+":1", imageWith(t, tt.edit, layer(t, tt.items...)))
			got := p.inspect(repository + ":1")
			if got.Runtime != tt.want.Runtime || got.Airflow != tt.want.Airflow || got.DagsPath != tt.want.DagsPath || got.User != tt.want.User {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			if got.Digest != digest || got.Platform != "linux/amd64" || len(got.Layers) != 1 || got.Size <= got.Layers[0].Size {
				t.Errorf("got %+v of %s", got, digest)
			}
		})
	}
}

func TestInspectChoosesThePlatform(t *testing.T) {
	p := open(t)
	arm := imageWith(t, func(c *v1.ConfigFile) { c.Architecture, c.Variant = "arm64", "v8" }, layer(t, file("a", "arm")))
	amd := imageWith(t, nil, layer(t, file("a", "amd")))
	index := mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: arm, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}}},
		mutate.IndexAddendum{Add: amd, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}})
	if err := remote.WriteIndex(p.ref(repository+":all"), index); err != nil {
		t.Fatal(err)
	}
	p.push(repository+":arm", arm)
	for platform, want := range map[string]v1.Image{"linux/amd64": amd, "linux/arm64": arm, "linux/arm64/v8": arm} {
		got, err := p.Inspect(t.Context(), image.Ref{Name: repository, Tag: "all"}, platform, image.Login{})
		if err != nil || got.Digest != digestOf(t, want) {
			t.Errorf("%s: %s, %v, want %s", platform, got.Digest, err, digestOf(t, want))
		}
	}
	_, err := p.Inspect(t.Context(), image.Ref{Name: repository, Tag: "all"}, "linux/s390x", image.Login{})
	wantSentence(t, err, "offers linux/arm64/v8, linux/amd64 only; this Deployment needs linux/s390x")
	_, err = p.Inspect(t.Context(), image.Ref{Name: repository, Tag: "arm"}, "linux/amd64", image.Login{})
	wantSentence(t, err, "offers linux/arm64/v8 only; this Deployment needs linux/amd64")
}

func TestInspectRefuses(t *testing.T) {
	p, other := open(t), open(t)
	p.AllowLoopback()
	other.push("team/airflow:1", runtimeImage(t, layer(t, file("a", "a"))))
	chart := mutate.ConfigMediaType(imageWith(t, nil, layer(t, file("a", "b"))), types.MediaType("application/vnd.cncf.helm.config.v1+json"))
	other.push("team/chart:1", chart)
	locked := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer locked.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	tests := []struct {
		name, ref string
		login     image.Login
		want      string
	}{
		{"no such tag elsewhere", other.host + "/team/airflow:2", image.Login{}, "There is no tag 2 in " + other.host + "/team/airflow."},
		{"no such digest", repository + "@sha256:" + strings.Repeat("0", 64), image.Login{}, "There is no image sha256:00"},
		{"no such tag", repository + ":2", image.Login{}, "There is no tag 2 in " + repository},
		{"a chart", other.host + "/team/chart:1", image.Login{}, "is not a container image"},
		{"no credentials", locked.Listener.Addr().String() + "/a/b:1", image.Login{}, "does not show a/b to everybody"},
		{"wrong credentials", locked.Listener.Addr().String() + "/a/b:1", image.Login{User: "ada", Password: "x"}, `refused the user "ada"`},
		{"unreachable", gone.Listener.Addr().String() + "/a/b:1", image.Login{}, "could not be reached"},
		{"unknown host", "registry.invalid/a/b:1", image.Login{}, "registry.invalid could not be reached"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ref, err := image.ParseRef(tt.ref)
			if err != nil {
				t.Fatal(err)
			}
			_, err = p.Inspect(t.Context(), ref, slipway.DefaultPlatform, tt.login)
			wantSentence(t, err, tt.want)
		})
	}
}

// A registry that sends other content than it promised, or less, is told of.
func TestBlobsOfOthersAreChecked(t *testing.T) {
	p, other := open(t), open(t)
	p.AllowLoopback()
	l := layer(t, file(dagsDir+"/a.py", strings.Repeat("a", 1000)))
	other.push("team/airflow:1", runtimeImage(t, l))
	d, err := l.Digest()
	if err != nil {
		t.Fatal(err)
	}
	base, err := p.Inspect(t.Context(), image.Ref{Name: other.host + "/team/airflow", Tag: "1"}, slipway.DefaultPlatform, image.Login{})
	if err != nil {
		t.Fatal(err)
	}
	good := read(t, other.BlobFile(d.Hex))
	changed := slices.Clone(good)
	changed[len(changed)-1] ^= 1
	for _, tt := range []struct {
		want    string
		content []byte
	}{{"other content", changed}, {"damaged", good[:40]}, {"not complete", nil}} {
		remove(t, other.BlobFile(d.Hex))
		if tt.content != nil {
			if err := os.WriteFile(other.BlobFile(d.Hex), tt.content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, err := p.WithDags(t.Context(), base, image.Login{}, image.Dags{Path: base.DagsPath}, repository, "deploy-1")
		wantSentence(t, err, tt.want)
		if got := p.call(t, "GET", "/v2/"+repository+"/manifests/deploy-1", nil, nil); got.status != http.StatusNotFound {
			t.Errorf("the tag is there: %d", got.status)
		}
	}
}

func TestInspectNeedsEveryLayer(t *testing.T) {
	p := open(t)
	l := layer(t, file("a", "a"))
	p.push(repository+":1", runtimeImage(t, l))
	d, err := l.Digest()
	if err != nil {
		t.Fatal(err)
	}
	remove(t, p.BlobFile(d.Hex))
	_, err = p.Inspect(t.Context(), image.Ref{Name: repository, Tag: "1"}, slipway.DefaultPlatform, image.Login{})
	wantSentence(t, err, "is not complete")
}

func TestAddressesThatAreNotDialled(t *testing.T) {
	p := open(t)
	s := reopened(t, []string{"registry.corp", "10.1.0.0/16", "192.168.7.7:5000"})
	tests := []struct {
		host, ip string
		refused  bool
	}{
		{"quay.io:443", "3.5.7.9", false},
		{"quay.io:443", "10.0.0.1", true},
		{"quay.io:443", "10.1.0.1", false}, // its network is named
		{"registry.corp:443", "10.0.0.1", false},
		{"REGISTRY.corp:5000", "fd00::1", false},
		{"192.168.7.7:5000", "192.168.7.7", false},
		{"192.168.7.7:443", "192.168.7.7", true},
		{"registry.corp:443", "127.0.0.1", true},
		{"registry.corp:443", "::1", true},
		{"registry.corp:443", "169.254.169.254", true},
		{"registry.corp:443", "fe80::1", true},
		{"quay.io:443", "0.0.0.0", true},
		{"quay.io:443", "224.0.0.1", true},
		{"quay.io:443", "100.64.0.1", true},
		{"quay.io:443", "64:ff9b::7f00:1", true},
		{"quay.io:443", "2002:7f00:1::", true},
		{"quay.io:443", "172.16.0.1", true},
		{"quay.io:443", "2606:4700::1", false},
	}
	for _, tt := range tests {
		if err := s.Judge(tt.host, netip.MustParseAddr(tt.ip)); (err != nil) != tt.refused {
			t.Errorf("%s at %s: %v, want refused %v", tt.host, tt.ip, err, tt.refused)
		}
	}
	_, err := p.Inspect(t.Context(), image.Ref{Name: "127.0.0.1:1/a/b", Tag: "1"}, slipway.DefaultPlatform, image.Login{})
	wantSentence(t, err, "127.0.0.1:1 leads to this machine")
	_, err = s.Inspect(t.Context(), image.Ref{Name: "192.168.8.8:9/a/b", Tag: "1"}, slipway.DefaultPlatform, image.Login{})
	wantSentence(t, err, "192.168.8.8:9 has a private address. An administrator")
	for host, want := range map[string]string{
		"[64:ff9b::a9fe:a9fe]": "[64:ff9b::a9fe:a9fe] has a private address.", "[64:ff9b::a9fe:a9fe]:9": "[64:ff9b::a9fe:a9fe]:9 has a private address.",
		"[fe80::1]": "[fe80::1] leads to this machine or its own network link.",
	} {
		_, err = s.Inspect(t.Context(), image.Ref{Name: host + "/a/b", Tag: "1"}, slipway.DefaultPlatform, image.Login{})
		wantSentence(t, err, want)
	}
}

// Refusals and failures name the registry as it was written, and no address
// behind the name, of a redirect or of a token's host.
func TestRefusalsNameNoAddress(t *testing.T) {
	redirect := func(to string) http.Handler { return http.RedirectHandler(to, http.StatusTemporaryRedirect) }
	token := func(realm string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+realm+`",service="x"`)
			w.WriteHeader(http.StatusUnauthorized)
		})
	}
	broken := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, `{"errors":[{"code":"UNKNOWN","message":"dial tcp 10.9.8.7:5432: connect: connection refused"}]}`)
	})
	for name, tt := range map[string]struct {
		registry http.Handler
		want     string
	}{
		"a redirect to this machine":       {redirect("http://127.0.0.2:7/v2/"), "leads on to this machine"},
		"to a name of this machine":        {redirect("http://localhost:7/v2/"), "could not be reached"}, // its address is the test's own
		"to a private address":             {redirect("http://10.9.8.7:5432/v2/"), "leads on to a host with a private address"},
		"to the link":                      {redirect("http://169.254.169.254/latest/"), "leads on to this machine"},
		"a token of a private address":     {token("http://10.9.8.7/token"), "names a private address, or none, as the service for its tokens"},
		"a token of the link":              {token("http://[fe80::1]/token"), "names a private address"},
		"an error with an address in it":   {broken, "answered with an error (502)"},
		"a redirect to a host that is not": {redirect("http://vault.invalid:8200/"), "could not be reached"},
	} {
		t.Run(name, func(t *testing.T) {
			p := open(t)
			p.AllowLoopback()
			srv := httptest.NewServer(tt.registry)
			defer srv.Close()
			host := srv.Listener.Addr().String()
			_, err := p.Inspect(t.Context(), image.Ref{Name: host + "/a/b", Tag: "1"}, slipway.DefaultPlatform, image.Login{})
			wantSentence(t, err, tt.want)
			_, text := slipway.Explain(err)
			for _, secret := range []string{"127.0.0.2", "10.9.8.7", "169.254", "fe80", "vault.invalid", "localhost", "dial"} {
				if strings.Contains(strings.ReplaceAll(text, host, "HOST"), secret) {
					t.Errorf("%q names %s", text, secret)
				}
			}
		})
	}
}

func TestRegistriesAreHosts(t *testing.T) {
	for name, good := range map[string]bool{
		"registry.corp": true, "Registry.corp:5000": true, "registry": true, "10.1.2.3": true, "10.0.0.0/8": true, "[fd00::1]:5000": true, "fd00::/8": true,
		`a"><b>.io`: false, "": false, "https://registry.corp": false, "registry.corp/team": false, "user@registry.corp": false, "10.0.0.0/33": false, "registry.corp:99999": false, "a b": false,
	} {
		_, err := image.Open(image.Config{Dir: t.TempDir(), Registries: []string{name}}, slog.New(slog.DiscardHandler))
		if (err == nil) != good {
			t.Errorf("--registries %q: %v, want accepted %v", name, err, good)
		}
	}
}

// A registry that is reached does not lead on to one that may not be.
func TestRedirectsAreJudged(t *testing.T) {
	dialled := false
	inner := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { dialled = true }))
	defer inner.Close()
	outer := httptest.NewServer(http.RedirectHandler(strings.Replace(inner.URL, "127.0.0.1", "127.0.0.2", 1)+"/v2/", http.StatusTemporaryRedirect))
	defer outer.Close()
	p := open(t)
	p.AllowLoopbackOf(netip.MustParseAddr("127.0.0.1"))
	ref, err := name.ParseReference(outer.Listener.Addr().String() + "/a/b:1")
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Inspect(t.Context(), image.Ref{Name: ref.Context().Name(), Tag: "1"}, slipway.DefaultPlatform, image.Login{})
	wantSentence(t, err, "leads on to this machine")
	if dialled {
		t.Error("the address that was redirected to was dialled")
	}
}
