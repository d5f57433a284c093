package image_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"slipway/internal/image"
	"slipway/internal/slipway"
)

// killRounds is how often a process is killed that pushes and imports.
const killRounds = 6

// What can be looked at after a kill is whole, whatever the process was at.
func TestKilledPushesAreWholeOrAbsent(t *testing.T) {
	if os.Getenv("SLIPWAY_KILLED") != "" {
		t.Skip("this is the process that is killed")
	}
	dir, whole := t.TempDir(), 0
	for round := range killRounds {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestPushUntilKilled$")
		cmd.Env = append(os.Environ(), "SLIPWAY_KILLED="+dir)
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(out, make([]byte, (1+round%3)*len(pushing))); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		time.Sleep(time.Duration(rand.IntN(200)) * time.Millisecond)
		if err := errors.Join(cmd.Process.Kill(), ignoreExit(cmd.Wait())); err != nil {
			t.Fatal(err)
		}
		whole += wantWhole(t, dir)
	}
	if whole == 0 {
		t.Error("no image was there after any kill, want those that were pushed before it")
	}
}

func ignoreExit(err error) error {
	if _, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil
	}
	return err
}

// wantWhole looks at every tag, and returns how many there are.
func wantWhole(t *testing.T, dir string) (whole int) {
	t.Helper()
	p := openAt(t, dir)
	for n := range killTags {
		for _, tag := range []string{fmt.Sprint("pushed-", n), fmt.Sprint("taken-", n)} {
			i, err := p.Inspect(t.Context(), image.Ref{Name: repository, Tag: tag}, slipway.DefaultPlatform, image.Login{})
			if kind, _ := slipway.Explain(err); kind == slipway.NotFound {
				continue
			}
			if err != nil {
				t.Errorf("%s: %v", tag, err)
				continue
			}
			pulled, err := remote.Image(p.ref(repository + "@" + i.Digest))
			if err == nil {
				err = validate.Image(pulled)
			}
			if err != nil {
				t.Errorf("%s is there, but not whole: %v", tag, err)
			}
			whole++
		}
	}
	return whole
}

const (
	pushing  = "pushing\n" // what the process says before each image
	killTags = 4
)

// TestPushUntilKilled is what the processes run that are killed.
func TestPushUntilKilled(t *testing.T) {
	dir := os.Getenv("SLIPWAY_KILLED")
	if dir == "" {
		t.Skip("run by TestKilledPushesAreWholeOrAbsent")
	}
	p := openAt(t, dir)
	for i := 0; ; i++ {
		fmt.Print(pushing)
		text := make([]byte, 1<<20)
		if _, err := rand.NewChaCha8([32]byte{byte(i), byte(os.Getpid())}).Read(text); err != nil {
			t.Fatal(err)
		}
		img := runtimeImage(t, layer(t, file("a", string(text))), layer(t, file("b", fmt.Sprint(i, os.Getpid()))))
		p.push(fmt.Sprintf("%s:pushed-%d", repository, i%killTags), img)
		archive := plainSaved(t, img)
		_, err := p.Import(t.Context(), repository, fmt.Sprint("taken-", i%killTags), bytes.NewReader(archive), int64(len(archive)), slipway.DefaultPlatform)
		if err != nil {
			t.Fatal(err)
		}
	}
}

// A registry that would fill the disk refuses a push before it begins, and one
// that goes on for too long in the middle.
func TestNoRoom(t *testing.T) {
	left := int64(40 << 20)
	s, err := image.Open(image.Config{Dir: t.TempDir(), Claim: func(n int64) (func(), error) {
		if left -= n; left < 0 {
			return nil, slipway.Errorf(slipway.NoSpace, "The disk is nearly full.")
		}
		return func() {}, nil
	}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	p := serve(t, s)
	begun := p.call(t, "POST", "/v2/"+repository+"/blobs/uploads/", nil, nil)
	if begun.status != 202 {
		t.Fatalf("begin: %d %s", begun.status, begun.body)
	}
	refused := p.call(t, "POST", "/v2/"+repository+"/blobs/uploads/", nil, nil)
	if refused.status != 507 || !bytes.Contains(refused.body, []byte("nearly full")) {
		t.Errorf("begin: %d %s, want 507", refused.status, refused.body)
	}
	archive := saved(t, runtimeImage(t, layer(t, file("a", "a"))))
	_, err = p.take(archive)
	wantSentence(t, err, "nearly full")
}
