package e2e

import (
	"bytes"
	"cmp"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/playwright-community/playwright-go"
)

// pictureBytes is the most bytes of a picture in docs/images.
const pictureBytes = 150_000

// takePictures takes the pictures of README from the demo, of 1,280 by 860 pixels. They
// are kept where E2E_PICTURES names a folder: make pictures.
func takePictures(t *testing.T, page person) {
	t.Helper()
	ok(t, page.SetViewportSize(1280, 860))
	take := func(name, at string) {
		t.Helper()
		ok(t, page.Locator(at).First().ScrollIntoViewIfNeeded())
		_, err := page.Evaluate(`(at) => document.querySelector(at).scrollIntoView({ block: "start" })`, at)
		ok(t, err)
		shot, err := page.Screenshot(playwright.PageScreenshotOptions{Animations: playwright.ScreenshotAnimationsDisabled})
		ok(t, err)
		small := paletted(t, shot)
		if len(small) == 0 || len(small) > pictureBytes {
			t.Errorf("%s has %d bytes, want at most %d", name, len(small), pictureBytes)
		}
		if dir := os.Getenv("E2E_PICTURES"); dir != "" {
			ok(t, os.WriteFile(filepath.Join(dir, name), small, 0o644))
		}
	}
	follow(t, page, "warehouse-prod")
	ok(t, expect.Locator(page.GetByText("Live now")).ToBeVisible())
	take("overview.png", "body")
	follow(t, page, "Deploy history")
	take("history.png", "body")
	ok(t, page.GetByTestId("deploy").First().GetByRole("link").First().Click())
	see(t, page, "What this deploy will do")
	take("review.png", "body")
	take("diff.png", "#changes")
	follow(t, page, "warehouse-prod")
	follow(t, page, "Settings")
	follow(t, page, "Deploys")
	ok(t, page.GetByRole("switch").Click())
	see(t, page, "Good to know")
	take("switch.png", "body")
}

// paletted returns a picture with the 256 colours that it has most of, or nearly has.
func paletted(t *testing.T, shot []byte) []byte {
	t.Helper()
	from, err := png.Decode(bytes.NewReader(shot))
	ok(t, err)
	box := from.Bounds()
	often := map[color.RGBA]int{}
	at := func(x, y int) color.RGBA {
		c := color.RGBAModel.Convert(from.At(x, y)).(color.RGBA)
		return color.RGBA{c.R | 3, c.G | 3, c.B | 3, 0xff} // shades that nobody tells apart count together
	}
	for y := box.Min.Y; y < box.Max.Y; y++ {
		for x := box.Min.X; x < box.Max.X; x++ {
			often[at(x, y)]++
		}
	}
	shades := slices.SortedFunc(maps.Keys(often), func(a, b color.RGBA) int {
		return cmp.Or(often[b]-often[a], cmp.Compare(a.R, b.R), cmp.Compare(a.G, b.G), cmp.Compare(a.B, b.B))
	})
	var colours color.Palette
	for _, c := range shades[:min(len(shades), 256)] {
		colours = append(colours, c)
	}
	nearest := map[color.RGBA]uint8{}
	to := image.NewPaletted(box, colours)
	for y := box.Min.Y; y < box.Max.Y; y++ {
		for x := box.Min.X; x < box.Max.X; x++ {
			c := at(x, y)
			index, known := nearest[c]
			if !known {
				index = uint8(colours.Index(c))
				nearest[c] = index
			}
			to.SetColorIndex(x, y, index)
		}
	}
	var out bytes.Buffer
	ok(t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, to))
	return out.Bytes()
}
