package api

import (
	"bufio"
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"hash"
	"hash/crc64"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
	"slipway/store"
)

// blobETag returns the ETag of an archive: the version, which no other archive gets.
func blobETag(w slipway.Deploy) string { return strconv.Quote(string(w.Version)) }

// setBlobHeaders sets the properties of the archive b of w, as Azure Storage names
// them, once the archive has arrived.
func setBlobHeaders(c echo.Context, w slipway.Deploy, b store.Blob) {
	if !w.HasDAGs() {
		return
	}
	h := c.Response().Header()
	h.Set("x-ms-version-id", string(w.Version))
	h.Set("ETag", blobETag(w))
	h.Set(echo.HeaderLastModified, w.UploadedAt.UTC().Format(http.TimeFormat))
	if b.MD5 != "" {
		h.Set("Content-MD5", b.MD5)
	}
}

// showBlob serves HEAD /v1/uploads/:upload: the properties of an archive that
// arrived. The archive itself is not handed out by an upload address.
func (p *uploads) showBlob(c echo.Context) error {
	w, err := p.verifyAddress(c, slipway.DeployID(c.Param("upload")))
	if err != nil {
		return err
	}
	b, found, err := p.engine.Blob(c.Request().Context(), w)
	if err != nil {
		return err
	}
	if !found || !w.HasDAGs() {
		return noBlob(w)
	}
	setBlobHeaders(c, w, b)
	switch r := c.Request().Header; {
	case !ifMatches(r, w), modifiedAfter(r, "If-Unmodified-Since", w):
		return conditionNotMet(w)
	case r.Get("If-None-Match") != "" && !ifNoneMatches(r, w),
		r.Get("If-None-Match") == "" && r.Get("If-Modified-Since") != "" && !modifiedAfter(r, "If-Modified-Since", w):
		return c.NoContent(http.StatusNotModified)
	}
	h := c.Response().Header()
	h.Set("x-ms-blob-type", "BlockBlob")
	h.Set("x-ms-creation-time", w.UploadedAt.UTC().Format(http.TimeFormat))
	h.Set("x-ms-lease-state", "available")
	h.Set("x-ms-lease-status", "unlocked")
	h.Set(echo.HeaderContentType, echo.MIMEOctetStream)
	h.Set(echo.HeaderContentLength, strconv.FormatInt(b.Size, 10))
	c.Response().WriteHeader(http.StatusOK)
	return nil
}

// noBlob is the refusal of an address whose archive is not complete.
func noBlob(w slipway.Deploy) error {
	return &blobError{
		slipway.Errorf(slipway.NotFound, "The files of deploy #%d have not arrived, or no longer lie here.", w.Number), http.StatusNotFound, "BlobNotFound",
	}
}

// getBlob serves GET /v1/uploads/:upload: with comp=blocklist the blocks of an
// archive, which a client asks for to go on with an upload.
func (p *uploads) getBlob(c echo.Context) error {
	w, err := p.verifyAddress(c, slipway.DeployID(c.Param("upload")))
	if err != nil {
		return err
	}
	if c.QueryParam("comp") == "blocklist" {
		return p.showBlockList(c, w)
	}
	return &blobError{
		slipway.Errorf(slipway.Forbidden, "This address takes an upload, and hands nothing out. The files of deploy #%d are at %s.", w.Number, p.deployPage(c, w)),
		http.StatusForbidden, "AuthorizationPermissionMismatch",
	}
}

// otherVerb serves the other methods of /v1/uploads/:upload.
func (p *uploads) otherVerb(c echo.Context) error {
	c.Response().Header().Set(echo.HeaderAllow, "GET, HEAD, PUT")
	return &blobError{
		slipway.Errorf(slipway.Invalid, "An upload address takes PUT, HEAD and GET, not %s.", c.Request().Method), http.StatusMethodNotAllowed, "UnsupportedHttpVerb",
	}
}

// blockXML is a block in a list of Azure Storage.
type blockXML struct{ Name, Size string }

// blockListXML is the answer to a request for the list of blocks.
type blockListXML struct {
	XMLName           xml.Name   `xml:"BlockList"`
	CommittedBlocks   *blocksXML `xml:",omitempty"`
	UncommittedBlocks *blocksXML `xml:",omitempty"`
}

type blocksXML struct {
	Block []blockXML
}

func newBlocksXML(all []store.Block) *blocksXML {
	l := &blocksXML{}
	for _, b := range all {
		l.Block = append(l.Block, blockXML{b.ID, strconv.FormatInt(b.Size, 10)})
	}
	return l
}

// showBlockList answers with the committed blocks of an archive that arrived, the
// uncommitted ones of an archive that is arriving, or both.
func (p *uploads) showBlockList(c echo.Context, w slipway.Deploy) error {
	kind := c.QueryParam("blocklisttype")
	if !slices.Contains([]string{"", "committed", "uncommitted", "all"}, kind) {
		return blobErrorf("InvalidQueryParameterValue", "blocklisttype is committed, uncommitted or all, not %q.", kind)
	}
	ctx := c.Request().Context()
	b, found, err := p.engine.Blob(ctx, w)
	if err != nil {
		return err
	}
	committed, err := p.engine.Blocks(ctx, w)
	if err != nil {
		return err
	}
	received, err := p.engine.Received(ctx, w)
	if err != nil {
		return err
	}
	if !found && len(received) == 0 {
		return noBlob(w)
	}
	setBlobHeaders(c, w, b)
	c.Response().Header().Set("x-ms-blob-content-length", strconv.FormatInt(b.Size, 10))
	var list blockListXML
	if kind != "uncommitted" {
		list.CommittedBlocks = newBlocksXML(committed)
	}
	if kind == "uncommitted" || kind == "all" {
		list.UncommittedBlocks = newBlocksXML(received)
	}
	return c.XML(http.StatusOK, list)
}

// Limits of a list of blocks, as in Azure Storage, and of each element or text in
// a list: an id has at most 88 bytes.
const (
	maxBlockList = 8 << 20 // bytes
	maxListed    = 50_000  // blocks
	maxListToken = 4 << 10 // bytes
)

// listReader reads a list of blocks. An XML decoder takes the bytes one by one, and
// each element, text or comment has at most left bytes: a decoder keeps all of an
// element's attributes.
type listReader struct {
	*bufio.Reader
	left   int
	failed error // of the body, io.EOF aside
}

var errListToken = errors.New("an element or text of the list is too long")

// ReadByte implements io.ByteReader.
func (r *listReader) ReadByte() (byte, error) {
	if r.left--; r.left < 0 {
		return 0, errListToken
	}
	b, err := r.Reader.ReadByte()
	if err != nil && !errors.Is(err, io.EOF) {
		r.failed = err
	}
	return b, err
}

// readBlockList returns the ids in a list of blocks. committed reports whether the
// archive has arrived: Committed names blocks of such an archive only. The list is
// read one element at a time, and no further than to a fault.
func readBlockList(c echo.Context, committed bool) (ids []string, err error) {
	r := &listReader{Reader: bufio.NewReader(http.MaxBytesReader(c.Response(), c.Request().Body, maxBlockList))}
	if mark, err := r.Peek(3); err == nil && string(mark) == "\ufeff" {
		_, _ = r.Discard(len(mark))
	}
	d, list := xml.NewDecoder(r), blockListReader{committed: committed}
	for {
		r.left = maxListToken
		t, err := d.Token()
		switch {
		case isTooLarge(r.failed):
			return nil, errors.Join(slipway.Errorf(slipway.TooLarge, "The list of blocks has more than %d MiB.", maxBlockList>>20), r.failed)
		case r.failed != nil:
			return nil, r.failed
		case errors.Is(err, io.EOF) && list.over:
			return list.ids, nil
		case err != nil:
			return nil, errors.Join(errNoBlockList, err)
		}
		if err := list.take(t); err != nil {
			return nil, err
		}
	}
}

func isTooLarge(err error) bool {
	_, tooLarge := errors.AsType[*http.MaxBytesError](err)
	return tooLarge
}

var errNoBlockList = blobErrorf("InvalidXmlDocument", "The list of blocks is not the XML that belongs here.")

// blockListReader collects the ids of a list.
type blockListReader struct {
	committed bool
	open      []string // elements
	text      strings.Builder
	ids       []string
	over      bool // the list was closed
}

// take takes the next token of a list.
func (l *blockListReader) take(t xml.Token) error {
	switch t := t.(type) {
	case xml.StartElement:
		return l.start(t.Name.Local)
	case xml.CharData:
		if len(l.open) == 2 {
			l.text.Write(t)
		}
	case xml.EndElement:
		id := strings.TrimSpace(l.text.String())
		name := l.open[len(l.open)-1] // the decoder checks that elements match
		l.open = l.open[:len(l.open)-1]
		switch {
		case len(l.open) == 0:
			l.over = true
		case name == "Committed" && !l.committed:
			return blobErrorf("InvalidBlockList", "The list names %s as a committed block, and no block is committed yet.", id)
		default:
			l.ids = append(l.ids, id)
		}
	}
	return nil
}

// start takes the begin of an element.
func (l *blockListReader) start(name string) error {
	switch {
	case len(l.open) == 0 && (l.over || name != "BlockList"), len(l.open) == 2:
		return errNoBlockList
	case len(l.open) == 1 && name != "Latest" && name != "Committed" && name != "Uncommitted":
		return blobErrorf("InvalidXmlDocument", "The list of blocks has an element %s. The elements are Latest, Committed and Uncommitted.", name)
	case len(l.ids) == maxListed:
		return blobErrorf("BlockListTooLong", "The list has more than %d blocks.", maxListed)
	}
	l.open = append(l.open, name)
	l.text.Reset()
	return nil
}

// checkConditions refuses an upload whose conditions about the present archive do not
// hold.
func (p *uploads) checkConditions(c echo.Context, w slipway.Deploy) error {
	h := c.Request().Header
	arrived := w.HasDAGs()
	switch {
	case !arrived && h.Get("If-Match") != "":
		return conditionNotMet(w)
	case !arrived:
		return nil
	case strings.TrimSpace(h.Get("If-None-Match")) == "*":
		return &blobError{
			slipway.Errorf(slipway.Conflict, "The files of deploy #%d have arrived before, and If-None-Match asks that they have not.", w.Number), http.StatusConflict, "BlobAlreadyExists",
		}
	case !ifMatches(h, w), !ifNoneMatches(h, w), modifiedAfter(h, "If-Unmodified-Since", w),
		h.Get("If-Modified-Since") != "" && !modifiedAfter(h, "If-Modified-Since", w):
		return conditionNotMet(w)
	}
	return nil
}

func conditionNotMet(w slipway.Deploy) error {
	return &blobError{
		slipway.Errorf(slipway.Conflict, "The files of deploy #%d are not as the conditions in the headers of the request ask.", w.Number), http.StatusPreconditionFailed, "ConditionNotMet",
	}
}

// ifMatches reports whether the header If-Match, if any, names the archive of w.
func ifMatches(h http.Header, w slipway.Deploy) bool {
	return h.Get("If-Match") == "" || namesETag(h.Values("If-Match"), w)
}

// ifNoneMatches reports whether the header If-None-Match, if any, does not name the
// archive of w.
func ifNoneMatches(h http.Header, w slipway.Deploy) bool {
	return h.Get("If-None-Match") == "" || !namesETag(h.Values("If-None-Match"), w)
}

// namesETag reports whether a list of ETags has the one of w, or *.
func namesETag(values []string, w slipway.Deploy) bool {
	for tag := range strings.SplitSeq(strings.Join(values, ","), ",") {
		tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/")
		if tag == "*" || strings.Trim(tag, `"`) == string(w.Version) {
			return true
		}
	}
	return false
}

// modifiedAfter reports whether the archive of w arrived after the time in a
// header, false without the header.
func modifiedAfter(h http.Header, name string, w slipway.Deploy) bool {
	at, err := http.ParseTime(h.Get(name))
	return err == nil && w.UploadedAt.UTC().Truncate(time.Second).After(at)
}

// md5Header returns the MD5 in the first of the headers that the request has; nil
// for none.
func md5Header(r *http.Request, names ...string) ([]byte, error) {
	for _, name := range names {
		text := r.Header.Get(name)
		if text == "" {
			continue
		}
		sum, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(sum) != md5.Size {
			return nil, blobErrorf("InvalidMd5", "%s is 16 bytes in base64, not %q.", name, text)
		}
		return sum, nil
	}
	return nil, nil
}

// crc64Table is of the polynomial that Azure Storage uses.
var crc64Table = crc64.MakeTable(0x9A6C9329AC4BC9B5)

// checkTransfer lets the body of r end with a refusal instead of io.EOF, if the
// bytes differ from the sums in Content-MD5 or x-ms-content-crc64.
func checkTransfer(r *http.Request) error {
	sum, err := md5Header(r, "Content-MD5")
	if err != nil {
		return err
	}
	if sum != nil {
		r.Body = &checkedBody{ReadCloser: r.Body, sum: md5.New(), want: sum, code: "Md5Mismatch", name: "Content-MD5"}
	}
	if text := r.Header.Get("x-ms-content-crc64"); text != "" {
		sum, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(sum) != crc64.Size {
			return blobErrorf("InvalidCrc64", "x-ms-content-crc64 is 8 bytes in base64, not %q.", text)
		}
		slices.Reverse(sum) // the header has the low byte first
		r.Body = &checkedBody{ReadCloser: r.Body, sum: crc64.New(crc64Table), want: sum, code: "Crc64Mismatch", name: "x-ms-content-crc64"}
	}
	return nil
}

// checkedBody is a body that must have the sum announced in a header.
type checkedBody struct {
	io.ReadCloser
	sum        hash.Hash
	want       []byte
	code, name string // of the refusal, and of the header
}

func (b *checkedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.sum.Write(p[:n])
	if errors.Is(err, io.EOF) && !bytes.Equal(b.sum.Sum(nil), b.want) {
		return n, blobErrorf(b.code, "The bytes that arrived are not those of the header %s. Send them again.", b.name)
	}
	return n, err
}
