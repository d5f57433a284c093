package slipway

import (
	"fmt"
	"strings"
	"testing"
)

// The disk has 100 MiB above the reserve in each case: one person may hold 50
// MiB, one Workspace 75.
func TestUploadSpace(t *testing.T) {
	const mib = 1 << 20
	use := func(m int64) DiskUse { return DiskUse{Bytes: m * mib, Uploads: 1} }
	for name, tt := range map[string]struct {
		s    UploadSpace
		n    int64
		kind Kind
		want string
	}{
		"first":                     {s: UploadSpace{Free: 110 * mib}, n: 50 * mib},
		"larger than a share":       {s: UploadSpace{Free: 110 * mib}, n: 50*mib + 1, kind: NoSpace, want: "one person may take 50 MiB"},
		"second":                    {s: UploadSpace{Free: 80 * mib, Held: 30 * mib, Person: use(30), Workspace: use(30)}, n: 20 * mib},
		"second too much":           {s: UploadSpace{Free: 80 * mib, Held: 30 * mib, Person: use(30), Names: []string{"#3 of sales"}}, n: 21 * mib, kind: TooLarge, want: "cancel some of them first: #3 of sales."},
		"growing alone":             {s: UploadSpace{Free: 80 * mib, Held: 30 * mib, Person: DiskUse{Bytes: 50 * mib}}, n: 1, kind: NoSpace, want: "too little room for this upload"},
		"many":                      {s: UploadSpace{Free: 80 * mib, Held: 30 * mib, Person: use(30), Names: []string{"a", "b", "c", "d"}}, n: 21 * mib, kind: TooLarge, want: "first: a, b, c and 1 more."},
		"another person":            {s: UploadSpace{Free: 60 * mib, Held: 50 * mib, Workspace: use(50)}, n: 25 * mib},
		"another of the Workspace":  {s: UploadSpace{Free: 60 * mib, Held: 50 * mib, Workspace: use(50)}, n: 26 * mib, kind: TooLarge, want: "a Workspace may take 75 MiB"},
		"another Workspace":         {s: UploadSpace{Free: 35 * mib, Held: 75 * mib}, n: 25 * mib},
		"below the reserve":         {s: UploadSpace{Free: 35 * mib, Held: 75 * mib}, n: 26 * mib, kind: NoSpace, want: "nearly full"},
		"promised to others":        {s: UploadSpace{Free: 110 * mib, Promised: 90 * mib}, n: 11 * mib, kind: NoSpace, want: "nearly full"},
		"on a full disk":            {s: UploadSpace{Free: 11 * mib, Held: mib / 2, Person: use(1)}, n: 1, kind: NoSpace, want: "nearly full: 11 MiB are free, and 10 MiB of them"},
		"with others on a full one": {s: UploadSpace{Free: 11 * mib, Held: mib / 2, Workspace: use(2)}, n: 1, kind: NoSpace, want: "nearly full"},
		"beside what is promised":   {s: UploadSpace{Free: 110 * mib, Promised: 90 * mib}, n: 10 * mib},
		"unknown length":            {s: UploadSpace{Free: 110 * mib, Person: use(50)}},
		"unknown length, no share":  {s: UploadSpace{Free: 110 * mib, Person: use(51)}, kind: TooLarge, want: "one person, with those of all tokens that the person issued, may take 50 MiB"},
		"number of a person":        {s: UploadSpace{Free: 110 * mib, Person: DiskUse{Uploads: PersonUploads}}, n: 1, kind: TooLarge, want: "500 unfinished deploys"},
		"number of a Workspace":     {s: UploadSpace{Free: 110 * mib, Workspace: DiskUse{Uploads: WorkspaceUploads}}, n: 1, kind: TooLarge, want: "2000 unfinished deploys"},
	} {
		t.Run(name, func(t *testing.T) {
			tt.s.Reserve = 10 * mib
			err := tt.s.Admit(tt.n)
			kind, text := Explain(err)
			if (err == nil) != (tt.want == "") || kind != tt.kind || !strings.Contains(fmt.Sprint(err), tt.want) {
				t.Errorf("%v: %s, want kind %v with %q", err, text, tt.kind, tt.want)
			}
		})
	}
}

// The disk has 100 MiB above the reserve in each case.
func TestPushSpace(t *testing.T) {
	const mib = 1 << 20
	use := func(m int64) DiskUse { return DiskUse{Bytes: m * mib} }
	for name, tt := range map[string]struct {
		s    UploadSpace
		n    int64
		want string
	}{
		"first":                    {s: UploadSpace{Free: 110 * mib}, n: 50 * mib},
		"too much":                 {s: UploadSpace{Free: 110 * mib}, n: 50*mib + 1, want: "one person and of all tokens that the person issued, in 24 hours and with unfinished uploads, may take 50 MiB"},
		"with uploads":             {s: UploadSpace{Free: 80 * mib, Held: 30 * mib, Person: use(30)}, n: 21 * mib, want: "one person and of all tokens"},
		"another of the Workspace": {s: UploadSpace{Free: 60 * mib, Held: 50 * mib, Workspace: use(50)}, n: 26 * mib, want: "The pushes to a Workspace in 24 hours, with unfinished uploads, may take 75 MiB"},
		"another Workspace":        {s: UploadSpace{Free: 60 * mib, Held: 50 * mib}, n: 50 * mib},
		"below the reserve":        {s: UploadSpace{Free: 20 * mib, Held: 90 * mib}, n: 11 * mib, want: "nearly full"},
		"promised to others":       {s: UploadSpace{Free: 110 * mib, Promised: 90 * mib}, n: 11 * mib, want: "nearly full"},
	} {
		tt.s.Reserve = 10 * mib
		err := tt.s.Push(tt.n)
		if kind, text := Explain(err); (err == nil) != (tt.want == "") || err != nil && kind != NoSpace || !strings.Contains(text, tt.want) && err != nil {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

func TestDisk(t *testing.T) {
	d := Disk{Total: 100, Free: 30, Reserve: 10}
	if d.ForUploads() != 20 || (Disk{Free: 5, Reserve: 10}).ForUploads() != 0 {
		t.Error("uploads may not take what is free above the reserve")
	}
	for n, want := range map[int64]int64{0: 0, 50: 500, 100: 1000, 200: 1000, -1: 0} {
		if got := d.Share(n, 1000); got != want {
			t.Errorf("%d of 100 is %d thousandths, want %d", n, got, want)
		}
	}
	if (Disk{}).Share(1, 1000) != 0 {
		t.Error("a disk of unknown size has a share")
	}
}
