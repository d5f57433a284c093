package image_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"slipway/internal/slipway"
)

// maxAdded is the most memory that an image may add, whatever its size.
const maxAdded = 64 << 20

// A process of its own takes an image that is much larger than the memory that
// it may add, its client's included: SLIPWAY_IMAGE_MIB=1024 for 1 GiB.
func TestMemoryOfLargeImages(t *testing.T) {
	if way := os.Getenv("SLIPWAY_TAKES"); way != "" {
		t.Skip("this is the process that takes it")
	}
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("the memory of a process is read from /proc, which this system does not have")
	}
	limit := int64(maxAdded)
	if raceDetector {
		limit = 2 * maxAdded // it keeps a shadow of what is written
	}
	for _, way := range []string{"push", "import"} {
		t.Run(way, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestTakeLargeImage$", "-test.v")
			cmd.Env = append(os.Environ(), "SLIPWAY_TAKES="+way)
			out, err := cmd.CombinedOutput()
			_, text, found := strings.Cut(string(out), "added bytes: ")
			text, _, _ = strings.Cut(text, "\n")
			added, numberErr := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
			if err != nil || !found || numberErr != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			t.Logf("%d MiB added %d MiB", imageSize(t)>>20, added>>20)
			if added > limit {
				t.Errorf("an image of %d MiB added %d MiB, want at most %d", imageSize(t)>>20, added>>20, limit>>20)
			}
		})
	}
}

func imageSize(t *testing.T) int64 {
	t.Helper()
	text := os.Getenv("SLIPWAY_IMAGE_MIB")
	if text == "" {
		return 256 << 20
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatalf("SLIPWAY_IMAGE_MIB: %v", err)
	}
	return n << 20
}

// TestTakeLargeImage is what the processes of TestMemoryOfLargeImages run.
func TestTakeLargeImage(t *testing.T) {
	way := os.Getenv("SLIPWAY_TAKES")
	if way == "" {
		t.Skip("run by TestMemoryOfLargeImages")
	}
	p := open(t)
	p.push(repository+":small", runtimeImage(t, layer(t, file("a", "a")))) // all that is made once is there
	take := p.pushLarge
	if way == "import" {
		take = p.importLarge(t)
	}
	debug.FreeOSMemory()
	before := anonymous(t)
	peak, stop := watchMemory(t)
	take(t)
	close(stop)
	fmt.Printf("added bytes: %d\n", max(0, <-peak-before))
}

func noise(n int64) io.Reader { return io.LimitReader(rand.NewChaCha8([32]byte{1}), n) }

// pushLarge uploads one blob, as docker does.
func (p *portal) pushLarge(t *testing.T) {
	begun := p.call(t, "POST", "/v2/"+repository+"/blobs/uploads/", nil, nil)
	sum := sha256.New()
	r, err := http.NewRequestWithContext(t.Context(), "PATCH", "http://"+p.host+begun.header.Get("Location"), io.TeeReader(noise(imageSize(t)), sum))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := answer.Body.Close(); err != nil {
		t.Fatal(err)
	}
	done := p.call(t, "PUT", answer.Header.Get("Location")+"&digest=sha256:"+hex.EncodeToString(sum.Sum(nil)), nil, nil)
	if done.status != http.StatusCreated {
		t.Fatalf("upload: %d %s", done.status, done.body)
	}
}

// importLarge writes an archive and returns what imports it.
func (p *portal) importLarge(t *testing.T) func(*testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "image.tar"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() }) // it is only read by then
	writeLarge(t, f, imageSize(t))
	return func(t *testing.T) {
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Import(t.Context(), repository, "deploy-1", f, info.Size(), slipway.DefaultPlatform); err != nil {
			t.Fatal(err)
		}
	}
}

// writeLarge writes what docker save makes of an image with one layer of noise.
func writeLarge(t *testing.T, to io.Writer, size int64) {
	t.Helper()
	sum := sha256.New()
	if _, err := io.Copy(sum, noise(size)); err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf(`{"os":"linux","architecture":"amd64","config":{"Env":["AIRFLOW_HOME=/a"]},"rootfs":{"type":"layers","diff_ids":["sha256:%x"]}}`, sum.Sum(nil))
	w := tar.NewWriter(to)
	write := func(name string, size int64, content io.Reader) {
		if err := w.WriteHeader(&tar.Header{Name: name, Size: size, Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(w, content); err != nil {
			t.Fatal(err)
		}
	}
	write("layer.tar", size, noise(size))
	write("c.json", int64(len(config)), strings.NewReader(config))
	const list = `[{"Config":"c.json","Layers":["layer.tar"]}]`
	write("manifest.json", int64(len(list)), strings.NewReader(list))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// anonymous returns the memory of this process, without the page cache.
func anonymous(t *testing.T) int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Error(err)
		return 0
	}
	_, rest, _ := bytes.Cut(status, []byte("RssAnon:"))
	n, err := strconv.ParseInt(string(bytes.Fields(rest)[0]), 10, 64)
	if err != nil {
		t.Error(err)
	}
	return n << 10
}

// watchMemory looks at it until stop is closed, and then sends the most it saw.
func watchMemory(t *testing.T) (peak <-chan int64, stop chan struct{}) {
	result, end := make(chan int64, 1), make(chan struct{})
	go func() {
		var most int64
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			most = max(most, anonymous(t))
			select {
			case <-end:
				result <- most
				return
			case <-tick.C:
			}
		}
	}()
	return result, end
}
