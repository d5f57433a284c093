package slipway

import (
	"testing"
	"time"
)

func TestWaits(t *testing.T) {
	up, img := time.Unix(1, 0), &Image{}
	for name, tt := range map[string]struct {
		w       Deploy
		want    Wait
		lacks   bool // LacksImage
		awaits  bool // AwaitsImage
		takes   bool // TakesDAGs
		checked bool // Checked makes the deploy staged
	}{
		"DAGs arriving":               {w: Deploy{Kind: DAGOnly, WantsDAG: true}, want: WaitUpload},
		"DAGs arrived":                {w: Deploy{Kind: DAGOnly, UploadedAt: up, WantsDAG: true}, want: WaitStaging},
		"DAGs arrived, an old record": {w: Deploy{Kind: DAGOnly, UploadedAt: up}, want: WaitStaging, checked: true},
		"image to push":               {w: Deploy{Kind: ImageOnly, Tag: "deploy-1"}, want: WaitImage, lacks: true, awaits: true},
		"image archive arriving":      {w: Deploy{Kind: ImageOnly, Tag: "deploy-1", Upload: "image.tar"}, want: WaitImage, lacks: true, awaits: true},
		"image pushed":                {w: Deploy{Kind: ImageOnly, Tag: "deploy-1", Source: "r:t@d"}, want: WaitStaging, lacks: true},
		"image by reference":          {w: Deploy{Kind: ImageOnly, Source: "r:t"}, want: WaitStaging, lacks: true},
		"image inspected":             {w: Deploy{Kind: ImageOnly, Source: "r:t", Image: img}, want: WaitUpload, checked: true},
		"switch to prepare":           {w: Deploy{Kind: ImageAndDAG, Tag: "deploy-1", Switch: &SafeSwitch{}}, want: WaitStaging, lacks: true},
		"image and DAGs to come":      {w: Deploy{Kind: ImageAndDAG, Tag: "deploy-1"}, want: WaitImage, lacks: true, awaits: true, takes: true},
		"image checked, DAGs to come": {w: Deploy{Kind: ImageAndDAG, Image: img, WantsDAG: true}, want: WaitUpload, takes: true},
		"image checked, DAGs here":    {w: Deploy{Kind: ImageAndDAG, Image: img, WantsDAG: true, UploadedAt: up}, want: WaitStaging},
		"DAGs here before the push":   {w: Deploy{Kind: ImageAndDAG, Tag: "deploy-1", WantsDAG: true, UploadedAt: up}, want: WaitStaging, lacks: true, awaits: true},
		"DAGs staged before the push": {w: Deploy{Kind: ImageAndDAG, Tag: "deploy-1", UploadedAt: up}, want: WaitImage, lacks: true, awaits: true},
		"staged":                      {w: Deploy{Status: Staged}, want: WaitConfirmation},
		"queued":                      {w: Deploy{Status: Queued}, want: WaitQueue},
		"deploying":                   {w: Deploy{Status: Deploying}, want: WaitRollout},
		"deployed":                    {w: Deploy{Status: Deployed}, want: NoWait},
		"failed":                      {w: Deploy{Kind: ImageAndDAG, Tag: "deploy-1", Status: Failed}, want: NoWait, lacks: true},
		"cancelled":                   {w: Deploy{Kind: ImageOnly, Tag: "deploy-1", Status: Cancelled}, want: NoWait, lacks: true},
	} {
		w := tt.w
		if w.Status == "" {
			w.Status = Initialized
		}
		if got := w.Waits(); got != tt.want {
			t.Errorf("%s: waits for %v, want %v", name, got, tt.want)
		}
		if w.LacksImage() != tt.lacks || w.AwaitsImage() != tt.awaits || w.TakesDAGs() != tt.takes {
			t.Errorf("%s: lacks an image %v, awaits one %v, takes DAGs %v, want %v, %v, %v", name, w.LacksImage(), w.AwaitsImage(), w.TakesDAGs(), tt.lacks, tt.awaits, tt.takes)
		}
		if got := w.Checked().Status == Staged; w.Status == Initialized && got != tt.checked {
			t.Errorf("%s: staged by Checked %v, want %v", name, got, tt.checked)
		}
	}
}
