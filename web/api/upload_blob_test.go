package api_test

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc64"
	"net/http"
	"strings"
	"testing"
	"time"
)

// ask sends a request without a body to an upload address.
func (a *app) ask(t *testing.T, method, url string, header ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return a.do(t, r)
}

func (a *app) putWhole(t *testing.T, d started, b []byte, header ...string) answer {
	t.Helper()
	return a.put(t, d.url, b, append(header, "x-ms-blob-type", "BlockBlob")...)
}

// TestSecondUpload: of uploads to one address, the same bytes again are the same
// upload, and others are refused. Nothing changes after finalize.
func TestSecondUpload(t *testing.T) {
	a := newApp(t)
	b := archiveOf(t, map[string]string{"a.py": dag})
	other := archiveOf(t, map[string]string{"other.py": dag})
	half := len(b) / 2
	var whole, blocks started
	for name, first := range map[string]func() answer{
		"whole": func() answer {
			whole = a.start(t)
			return a.putWhole(t, whole, b)
		},
		"in blocks": func() answer {
			blocks = a.start(t)
			wantBlob(t, a.put(t, withBlock(blocks, 1), b[:half]), 201, "")
			wantBlob(t, a.put(t, withBlock(blocks, 2), b[half:]), 201, "")
			return a.put(t, blocks.url+"&comp=blocklist", blockList(1, 2))
		},
	} {
		w := first()
		wantBlob(t, w, 201, "")
		d := map[string]started{"whole": whole, "in blocks": blocks}[name]
		again := func(what string, got answer, same bool) {
			t.Helper()
			version := got.header.Get("x-ms-version-id")
			switch {
			case same && (got.status != 201 || version != w.header.Get("x-ms-version-id")):
				t.Errorf("%s, %s: %d %q, want 201 %q", name, what, got.status, version, w.header.Get("x-ms-version-id"))
			case !same && (got.status != 409 || got.header.Get("x-ms-error-code") != "BlobImmutable"):
				t.Errorf("%s, %s: %d %s, want 409 BlobImmutable", name, what, got.status, got.header.Get("x-ms-error-code"))
			}
		}
		again("the same bytes", a.putWhole(t, d, b), true)
		again("other bytes", a.putWhole(t, d, other), false)
		again("the beginning", a.putWhole(t, d, b[:half]), false)
		again("more bytes", a.putWhole(t, d, append(bytes.Clone(b), 0)), false)
		again("nothing", a.putWhole(t, d, nil), false)
		again("the list", a.put(t, d.url+"&comp=blocklist", blockList(1, 2)), name == "in blocks")
		again("another order", a.put(t, d.url+"&comp=blocklist", blockList(2, 1)), false)
		again("an empty list", a.put(t, d.url+"&comp=blocklist", blockList()), false)
		again("an unknown block", a.put(t, withBlock(d, 3), b), false)
		again("another block", a.put(t, withBlock(d, 1), other), false)
		if same := a.put(t, withBlock(d, 1), b[:half]); (same.status == 201) != (name == "in blocks") {
			t.Errorf("%s, the same block: %d", name, same.status)
		}
		again("the same bytes at last", a.putWhole(t, d, b), true)

		wantOK(t, a.finalize(t, d, w.header.Get("x-ms-version-id")))
		again("finalized, the same bytes", a.putWhole(t, d, b), false)
		again("finalized, other bytes", a.putWhole(t, d, other), false)
		again("finalized, the list", a.put(t, d.url+"&comp=blocklist", blockList(1, 2)), false)
		again("finalized, a block", a.put(t, withBlock(d, 1), b[:half]), false)
		a.awaitDeployed(t, d)
		again("deployed, the same bytes", a.putWhole(t, d, b), false)
		if a.mounted(t, "a.py") != dag || a.mounted(t, "other.py") != "" {
			t.Errorf("%s: other files are live", name)
		}
	}
}

// TestUploadsAtOnce: of different archives sent to one address at the same time,
// only one is answered with 201, and that one is deployed.
func TestUploadsAtOnce(t *testing.T) {
	a := newApp(t)
	d := a.start(t)
	type sent struct {
		n int
		answer
	}
	const n = 8
	answers := make(chan sent, n)
	for i := range n {
		b := archiveOf(t, map[string]string{"a.py": fmt.Sprint(dag, "#", i)})
		go func() {
			for {
				w := a.putWhole(t, d, b)
				if w.status != http.StatusTooManyRequests {
					answers <- sent{i, w}
					return
				}
				time.Sleep(10 * time.Millisecond) // as clients of Azure do
			}
		}()
	}
	taken, version := -1, ""
	for range n {
		switch w := <-answers; {
		case w.status == http.StatusCreated && taken < 0:
			taken, version = w.n, w.header.Get("x-ms-version-id")
		case w.status == http.StatusCreated:
			t.Errorf("both %d and %d were taken", taken, w.n)
		default:
			wantBlob(t, w.answer, 409, "BlobImmutable")
		}
	}
	wantOK(t, a.finalize(t, d, version))
	a.awaitDeployed(t, d)
	if want := fmt.Sprint(dag, "#", taken); a.mounted(t, "a.py") != want {
		t.Errorf("%q is live, want %q", a.mounted(t, "a.py"), want)
	}
}

func TestBlobConditions(t *testing.T) {
	a := newApp(t)
	b := archiveOf(t, map[string]string{"a.py": dag})
	fresh := a.start(t)
	wantBlob(t, a.putWhole(t, fresh, b, "If-Match", "*"), 412, "ConditionNotMet")
	wantBlob(t, a.putWhole(t, fresh, b, "If-None-Match", "*"), 201, "")
	d := a.start(t)
	w := a.putWhole(t, d, b)
	wantBlob(t, w, 201, "")
	tag, past, future := w.header.Get("ETag"), time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat), time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
	for name, tt := range map[string]struct {
		header []string
		put    int
		code   string
		head   int
	}{
		"none":                   {nil, 201, "", 200},
		"If-None-Match: any":     {[]string{"If-None-Match", "*"}, 409, "BlobAlreadyExists", 304},
		"If-None-Match: this":    {[]string{"If-None-Match", tag}, 412, "ConditionNotMet", 304},
		"If-None-Match: of list": {[]string{"If-None-Match", `"x", ` + tag}, 412, "ConditionNotMet", 304},
		"If-None-Match: other":   {[]string{"If-None-Match", `"x"`}, 201, "", 200},
		"If-Match: any":          {[]string{"If-Match", "*"}, 201, "", 200},
		"If-Match: this":         {[]string{"If-Match", tag}, 201, "", 200},
		"If-Match: other":        {[]string{"If-Match", `"x"`}, 412, "ConditionNotMet", 412},
		"modified since":         {[]string{"If-Modified-Since", past}, 201, "", 200},
		"not modified since":     {[]string{"If-Modified-Since", future}, 412, "ConditionNotMet", 304},
		"unmodified since":       {[]string{"If-Unmodified-Since", future}, 201, "", 200},
		"not unmodified since":   {[]string{"If-Unmodified-Since", past}, 412, "ConditionNotMet", 412},
	} {
		if got := a.putWhole(t, d, b, tt.header...); got.status != tt.put || got.header.Get("x-ms-error-code") != tt.code {
			t.Errorf("PUT, %s: %d %s, want %d %s", name, got.status, got.header.Get("x-ms-error-code"), tt.put, tt.code)
		}
		if tt.put >= 400 {
			if got := a.put(t, d.url+"&comp=blocklist", blockList(1), tt.header...); got.header.Get("x-ms-error-code") != tt.code {
				t.Errorf("PUT of a list, %s: %s, want %s", name, got.header.Get("x-ms-error-code"), tt.code)
			}
		}
		if got := a.ask(t, "HEAD", d.url, tt.header...); got.status != tt.head {
			t.Errorf("HEAD, %s: %d, want %d", name, got.status, tt.head)
		}
	}
}

func TestBlobChecksums(t *testing.T) {
	a := newApp(t)
	b := archiveOf(t, map[string]string{"a.py": dag})
	md := func(b []byte) string {
		sum := md5.Sum(b)
		return base64.StdEncoding.EncodeToString(sum[:])
	}
	crc := func(b []byte) string { // as azblob computes it
		return base64.StdEncoding.EncodeToString(binary.LittleEndian.AppendUint64(nil, crc64.Checksum(b, crc64.MakeTable(0x9A6C9329AC4BC9B5))))
	}
	for name, tt := range map[string]struct {
		header, good, bad, code, malformed, malformedCode string
		blob, block, list                                 bool // the header is about the bytes of the request, or of the whole archive
	}{
		"Content-MD5": {"Content-MD5", md(b), md([]byte("x")), "Md5Mismatch", "eA==", "InvalidMd5", true, true, false},
		"crc64":       {"x-ms-content-crc64", crc(b), crc([]byte("x")), "Crc64Mismatch", "eA==", "InvalidCrc64", true, true, false},
		"of the blob": {"x-ms-blob-content-md5", md(b), md([]byte("x")), "Md5Mismatch", "%", "InvalidMd5", true, false, true},
	} {
		d := a.start(t)
		send := map[string]func(header ...string) answer{
			"blob":  func(header ...string) answer { return a.putWhole(t, d, b, header...) },
			"block": func(header ...string) answer { return a.put(t, withBlock(d, 1), b, header...) },
			"list":  func(header ...string) answer { return a.put(t, d.url+"&comp=blocklist", blockList(1), header...) },
		}
		for _, what := range []string{"block", "list", "blob"} {
			if !map[string]bool{"blob": tt.blob, "block": tt.block, "list": tt.list}[what] {
				if what == "block" { // the list needs it
					wantBlob(t, send[what](), 201, "")
				}
				continue
			}
			if w := send[what](tt.header, tt.bad); w.status != 400 || w.header.Get("x-ms-error-code") != tt.code {
				t.Errorf("%s, %s: another sum is answered with %d %s", name, what, w.status, w.header.Get("x-ms-error-code"))
			}
			if w := send[what](tt.header, tt.malformed); w.status != 400 || w.header.Get("x-ms-error-code") != tt.malformedCode {
				t.Errorf("%s, %s: a malformed sum is answered with %d %s", name, what, w.status, w.header.Get("x-ms-error-code"))
			}
			if w := a.ask(t, "HEAD", d.url); what != "blob" && w.status != 404 || what == "blob" && !tt.list && w.status != 404 {
				t.Errorf("%s, %s: something arrived: %d", name, what, w.status)
			}
			if w := send[what](tt.header, tt.good); w.status != 201 {
				t.Errorf("%s, %s: the right sum is answered with %d %s", name, what, w.status, w.header.Get("x-ms-error-code"))
			}
		}
		if w := a.ask(t, "HEAD", d.url); tt.header != "x-ms-content-crc64" && w.header.Get("Content-MD5") != md(b) {
			t.Errorf("%s: Content-MD5 is %q, want %q", name, w.header.Get("Content-MD5"), md(b))
		}
	}
	list, d := blockList(1), a.start(t)
	wantBlob(t, a.put(t, withBlock(d, 1), b), 201, "")
	wantBlob(t, a.put(t, d.url+"&comp=blocklist", list, "Content-MD5", md(b)), 400, "Md5Mismatch") // the sum is of the list
	wantBlob(t, a.put(t, d.url+"&comp=blocklist", list, "Content-MD5", md(list)), 201, "")
}

func TestHeadBlob(t *testing.T) {
	a := newApp(t)
	b := archiveOf(t, map[string]string{"a.py": dag})
	d := a.start(t)
	wantBlob(t, a.ask(t, "HEAD", d.url), 404, "BlobNotFound")
	wantBlob(t, a.put(t, withBlock(d, 1), b), 201, "")
	wantBlob(t, a.ask(t, "HEAD", d.url), 404, "BlobNotFound")
	w := a.putWhole(t, d, b)
	wantBlob(t, w, 201, "")
	check := func(when string) {
		t.Helper()
		h := a.ask(t, "HEAD", d.url)
		if h.status != 200 || h.header.Get("Content-Length") != fmt.Sprint(len(b)) || h.header.Get("x-ms-blob-type") != "BlockBlob" || h.text != "" {
			t.Errorf("%s: %d %v %q", when, h.status, h.header, h.text)
		}
		for _, name := range []string{"x-ms-version-id", "ETag", "Last-Modified"} {
			if h.header.Get(name) == "" || h.header.Get(name) != w.header.Get(name) {
				t.Errorf("%s: %s is %q, want %q", when, name, h.header.Get(name), w.header.Get(name))
			}
		}
	}
	check("arrived")
	wantOK(t, a.finalize(t, d, w.header.Get("x-ms-version-id")))
	a.awaitDeployed(t, d)
	check("deployed")
	wantBlob(t, a.ask(t, "HEAD", d.url+"0"), 403, "AuthenticationFailed")
	wantBlob(t, a.ask(t, "GET", d.url), 403, "AuthorizationPermissionMismatch")
	wantBlob(t, a.ask(t, "DELETE", d.url), 405, "UnsupportedHttpVerb")
	wantBlob(t, a.ask(t, "POST", d.url), 405, "UnsupportedHttpVerb")
	wantBlob(t, a.putWhole(t, d, nil, "x-ms-copy-source", "https://x.blob.core.windows.net/a/b"), 400, "UnsupportedHeader")
	wantBlob(t, a.put(t, withBlock(d, 1), nil), 400, "InvalidHeaderValue")
}

// TestBlockLists: lists in the forms of the clients of Azure Storage.
func TestBlockLists(t *testing.T) {
	a := newApp(t)
	b := archiveOf(t, map[string]string{"a.py": dag})
	half := len(b) / 2
	one, two := blockID(1), blockID(2)
	for name, tt := range map[string]struct {
		list   string
		status int
		code   string
	}{
		"Go":                {string(blockList(1, 2)), 201, ""},
		"Python":            {"<?xml version='1.0' encoding='utf-8'?>\n<BlockList><Latest>" + one + "</Latest><Latest>" + two + "</Latest></BlockList>", 201, ""},
		".NET, with a mark": {"\ufeff<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList><Latest>" + one + "</Latest><Latest>" + two + "</Latest></BlockList>", 201, ""},
		"no declaration":    {"<BlockList><Uncommitted>" + one + "</Uncommitted><Latest>" + two + "</Latest></BlockList>\n", 201, ""},
		"indented":          {"<BlockList>\n  <Latest>\n    " + one + "\n  </Latest>\n  <!-- x --><Latest>" + two + "</Latest>\n</BlockList>", 201, ""},
		"entities":          {"<BlockList><Latest>" + strings.ReplaceAll(one, "=", "&#61;") + "</Latest><Latest><![CDATA[" + two + "]]></Latest></BlockList>", 201, ""},
		"committed":         {"<BlockList><Committed>" + one + "</Committed><Latest>" + two + "</Latest></BlockList>", 400, "InvalidBlockList"},
		"unknown block":     {"<BlockList><Latest>AAAA</Latest></BlockList>", 400, "InvalidBlockList"},
		"unknown element":   {"<BlockList><Newest>" + one + "</Newest></BlockList>", 400, "InvalidXmlDocument"},
		"another root":      {"<Blocks><Latest>" + one + "</Latest></Blocks>", 400, "InvalidXmlDocument"},
		"cut off":           {"<BlockList><Latest>" + one + "</Latest>", 400, "InvalidXmlDocument"},
		"more behind":       {"<BlockList><Latest>" + one + "</Latest></BlockList><", 400, "InvalidXmlDocument"},
		"JSON":              {`{"Latest":[]}`, 400, "InvalidXmlDocument"},
		"nothing":           {"", 400, "InvalidXmlDocument"},
		"no blocks":         {"<BlockList/>", 400, "InvalidInput"},
		"nested":            {"<BlockList><Latest>" + one + "<x/></Latest></BlockList>", 400, "InvalidXmlDocument"},
		"two lists":         {"<BlockList><Latest>" + one + "</Latest></BlockList><BlockList/>", 400, "InvalidXmlDocument"},
		"deep":              {"<BlockList>" + strings.Repeat("<Latest>", 1<<19), 400, "InvalidXmlDocument"},
		"attributes":        {"<BlockList><Latest" + strings.Repeat(` a=">"`, 1<<19) + "/></BlockList>", 400, "InvalidXmlDocument"},
		"long id":           {"<BlockList><Latest>" + strings.Repeat("A", 1<<20) + "</Latest></BlockList>", 400, "InvalidXmlDocument"},
		"empty elements":    {"<BlockList>" + strings.Repeat("<Latest/>", 900_000) + "</BlockList>", 400, "BlockListTooLong"},
		"too large":         {"<BlockList>" + strings.Repeat("<!-- "+strings.Repeat("x", 1000)+" -->", 9<<10) + "</BlockList>", 413, "RequestBodyTooLarge"},
		"too many":          {"<BlockList>" + strings.Repeat("<Latest>AA==</Latest>", 50_001) + "</BlockList>", 400, "BlockListTooLong"},
	} {
		d := a.start(t)
		wantBlob(t, a.put(t, withBlock(d, 2), b[half:]), 201, "")
		wantBlob(t, a.put(t, withBlock(d, 1), b[:half]), 201, "")
		if w := a.put(t, d.url+"&comp=blocklist", []byte(tt.list)); w.status != tt.status || w.header.Get("x-ms-error-code") != tt.code {
			t.Errorf("%s: %d %s, want %d %s\n%s", name, w.status, w.header.Get("x-ms-error-code"), tt.status, tt.code, w.text)
		}
		if w := a.ask(t, "HEAD", d.url); (w.status == 200) != (tt.status == 201) || w.status == 200 && w.header.Get("Content-Length") != fmt.Sprint(len(b)) {
			t.Errorf("%s: HEAD %d, %s bytes", name, w.status, w.header.Get("Content-Length"))
		}
	}
}

// TestGetBlockList: a client that goes on with an upload asks which blocks arrived.
func TestGetBlockList(t *testing.T) {
	a := newApp(t)
	b := archiveOf(t, map[string]string{"a.py": dag})
	d := a.start(t)
	list := func(kind string) answer { return a.ask(t, "GET", d.url+"&comp=blocklist"+kind) }
	wantBlob(t, list(""), 404, "BlobNotFound")
	wantBlob(t, a.put(t, withBlock(d, 1), b[:9]), 201, "")
	wantBlob(t, a.put(t, withBlock(d, 2), b[9:]), 201, "")
	blocks := fmt.Sprintf("<Block><Name>%s</Name><Size>9</Size></Block><Block><Name>%s</Name><Size>%d</Size></Block>", blockID(1), blockID(2), len(b)-9)
	const none, noneYet = "<CommittedBlocks></CommittedBlocks>", "<UncommittedBlocks></UncommittedBlocks>"
	want := func(kind, parts string) {
		t.Helper()
		w := list(kind)
		if w.status != 200 || !strings.HasSuffix(w.text, "<BlockList>"+parts+"</BlockList>") || w.header.Get("Content-Type") != "application/xml; charset=UTF-8" {
			t.Errorf("%q: %d %s\n%s\nwant %s", kind, w.status, w.header.Get("Content-Type"), w.text, parts)
		}
	}
	want("", none)
	want("&blocklisttype=uncommitted", "<UncommittedBlocks>"+blocks+"</UncommittedBlocks>")
	want("&blocklisttype=all", none+"<UncommittedBlocks>"+blocks+"</UncommittedBlocks>")
	wantBlob(t, list("&blocklisttype=new"), 400, "InvalidQueryParameterValue")
	wantBlob(t, a.put(t, d.url+"&comp=blocklist", blockList(1, 2)), 201, "")
	want("", "<CommittedBlocks>"+blocks+"</CommittedBlocks>")
	want("&blocklisttype=committed", "<CommittedBlocks>"+blocks+"</CommittedBlocks>")
	want("&blocklisttype=uncommitted", noneYet)
	want("&blocklisttype=all", "<CommittedBlocks>"+blocks+"</CommittedBlocks>"+noneYet)
}
