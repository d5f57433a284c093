package image_test

import (
	"net/http"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"slipway/internal/image"
)

// Nothing goes from a namespace of which everything is needed: no tag that
// Slipway made, no image that lost its tag, no layer of a push that goes on, no
// pin. In other namespaces all of that goes.
func TestSweepOfANamespaceThatIsWhole(t *testing.T) {
	for _, whole := range []bool{true, false} {
		p := open(t)
		images := map[string]v1.Image{}
		for _, name := range []string{"ours", "replaced", "tagged"} {
			images[name] = runtimeImage(t, layer(t, file(name, name)))
		}
		p.reserved["deploy-a"] = true
		ours := p.push(repository+":deploy-a", images["ours"])
		if _, err := p.Pin(t.Context(), repository, "deploy-a"); err != nil {
			t.Fatal(err)
		}
		replaced := p.push(repository+":1", images["replaced"])
		p.push(repository+":1", images["tagged"])
		half := p.call(t, "POST", "/v2/"+repository+"/blobs/uploads/", nil, nil).header.Get("Location")
		p.call(t, "PATCH", half, []byte("half"), nil)
		sent := p.call(t, "POST", "/v2/"+repository+"/blobs/uploads/", nil, nil).header.Get("Location")
		const digest = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" // of "hello"
		p.call(t, "PUT", sent+"&digest="+digest, []byte("hello"), nil)

		p.sweepBut(image.Needed{Whole: map[string]bool{namespace: whole, "another-one-0001": !whole}}, later())

		p.wantPulls(t, repository+":1", true)
		p.wantPulls(t, repository+":deploy-a", whole)
		p.wantPulls(t, repository+"@"+ours, whole)
		p.wantPulls(t, repository+"@"+replaced, whole)
		p.wantBlob(t, images["ours"], whole)
		for what, at := range map[string]string{"the layer": "/v2/" + repository + "/blobs/" + digest, "the upload": half} {
			method, want := "HEAD", http.StatusOK
			if strings.Contains(at, "/uploads/") {
				method, want = "GET", http.StatusNoContent
			}
			if got := p.call(t, method, at, nil, nil); (got.status == want) != whole {
				t.Errorf("%s: answer %d, want it there: %t", what, got.status, whole)
			}
		}
		if whole {
			p.refused(t, "deploy-a", images["tagged"], "belongs to a deploy")
		}
	}
}
