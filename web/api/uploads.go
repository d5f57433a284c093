package api

import (
	"crypto/hmac"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"slipway/internal/auth"
	"slipway/internal/deploy"
	"slipway/internal/inbound"
	"slipway/internal/slipway"
	"slipway/store"
)

// uploadLife is the lifetime of an upload's address, from the making of the deploy
// and again from the last received bytes.
const uploadLife = time.Hour

// uploads serves the addresses to which archives are uploaded, as a block blob of
// Azure Storage: whole in one request, or in blocks with a list of blocks at the
// end. The address is the only credential, for one deploy and a short time.
type uploads struct {
	*core
}

// uploadURL returns a signed address for the archive of w.
func (p *uploads) uploadURL(c echo.Context, w slipway.Deploy) (address string, err error) {
	err = p.store.Update(c.Request().Context(), func(tx *store.Tx) error {
		key, err := auth.KeyOf(tx, auth.UploadKey)
		if err != nil {
			return err
		}
		until := strconv.FormatInt(tx.Now.Add(uploadLife).Unix(), 10)
		query := url.Values{"se": {until}, "sig": {uploadSignature(key, w.ID, until)}}
		address = p.portalURL(c) + "/v1/uploads/" + string(w.ID) + "?" + query.Encode()
		return nil
	})
	return address, err
}

// uploadSignature signs the values, not the query: clients sort the query and add
// own parameters.
func uploadSignature(key []byte, id slipway.DeployID, until string) string {
	return hex.EncodeToString(auth.MAC(key, string(id)+"\n"+until))
}

// blobError is a refusal with the error code of Azure Storage.
type blobError struct {
	error
	status int
	code   string
}

// Unwrap lets Explain find the sentence.
func (e *blobError) Unwrap() error { return e.error }

// blobErrorf returns a refusal with status 400.
func blobErrorf(code, format string, args ...any) error {
	return &blobError{slipway.Errorf(slipway.Invalid, format, args...), http.StatusBadRequest, code}
}

// blobCodes are the error codes of Azure Storage by kind of error.
var blobCodes = map[slipway.Kind]string{
	slipway.Internal: "InternalError", slipway.Invalid: "InvalidInput", slipway.NotFound: "ResourceNotFound",
	slipway.Forbidden: "AuthorizationFailure", slipway.Unauthorized: "AuthenticationFailed", slipway.Conflict: "BlobImmutable",
	slipway.TooLarge: "RequestBodyTooLarge", slipway.TooMany: "ServerBusy", slipway.NoSpace: "InsufficientAccountPermissions",
	slipway.Unavailable: "ServerBusy", slipway.Unprocessable: "InvalidInput", slipway.TooSlow: "OperationTimedOut",
}

// azureErrors answers an error in the XML of Azure Storage. The CLI prints the
// body.
func azureErrors(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set("x-ms-request-id", requestID(c))
		h.Set("x-ms-version", "2021-12-02")
		err := next(c)
		if err == nil || c.Response().Committed {
			return err
		}
		return errors.Join(err, answerAzure(c, err))
	}
}

// answerAzure answers with err in the XML of Azure Storage.
func answerAzure(c echo.Context, err error) error {
	status, text := explain(err)
	kind, _ := slipway.Explain(err)
	code := blobCodes[kind]
	if e, ok := errors.AsType[*blobError](err); ok {
		status, code = e.status, e.code
	} else if errors.Is(err, deploy.ErrMD5) {
		code = "Md5Mismatch"
	}
	c.Response().Header().Set("x-ms-error-code", code)
	return c.XML(status, struct {
		XMLName       xml.Name `xml:"Error"`
		Code, Message string
	}{Code: code, Message: text})
}

// putBlob serves PUT /v1/uploads/:upload: one block, the list of blocks, or the
// archive in one request.
func (p *uploads) putBlob(c echo.Context) error {
	w, err := p.verifyAddress(c, slipway.DeployID(c.Param("upload")))
	if err != nil {
		return err
	}
	r := c.Request()
	if r.Header.Get("x-ms-copy-source") != "" {
		return blobErrorf("UnsupportedHeader", "This portal copies nothing from other addresses. Send the bytes, without x-ms-copy-source.")
	}
	if err := checkTransfer(r); err != nil {
		return err
	}
	switch comp := c.QueryParam("comp"); {
	case comp == "block":
		return p.putBlock(c, w)
	case comp == "blocklist":
		return p.putBlockList(c, w)
	case comp != "":
		return blobErrorf("InvalidQueryParameterValue", "comp cannot be %q here.", comp)
	case r.Header.Get("x-ms-blob-type") != "BlockBlob":
		return blobErrorf("InvalidHeaderValue", "The header x-ms-blob-type must be BlockBlob.")
	}
	return p.putWhole(c, w)
}

// putWhole receives the archive in one request.
func (p *uploads) putWhole(c echo.Context, w slipway.Deploy) error {
	if err := p.checkConditions(c, w); err != nil {
		return err
	}
	md5, err := md5Header(c.Request(), "x-ms-blob-content-md5", "Content-MD5")
	if err != nil {
		return err
	}
	w, err = p.engine.PutBlob(c.Request().Context(), w.ID, c.Request().Body, md5)
	if err != nil {
		return err
	}
	return p.answerCreated(c, w)
}

// verifyAddress checks the signature and the time in an upload address, and
// returns the deploy.
func (p *uploads) verifyAddress(c echo.Context, id slipway.DeployID) (slipway.Deploy, error) {
	wrong := &blobError{slipway.Errorf(slipway.Forbidden, "This upload address is not valid. Make a new deploy."), http.StatusForbidden, "AuthenticationFailed"}
	late := &blobError{slipway.Errorf(slipway.Forbidden, "This upload address has expired. Make a new deploy."), http.StatusForbidden, "AuthenticationFailed"}
	var key []byte
	err := p.store.View(c.Request().Context(), func(tx *store.Tx) (err error) {
		key, err = tx.Setting(auth.UploadKey)
		return err
	})
	if err != nil {
		return slipway.Deploy{}, err
	}
	until := c.QueryParam("se")
	seconds, err := strconv.ParseInt(until, 10, 64)
	if err != nil || len(key) == 0 || !hmac.Equal([]byte(c.QueryParam("sig")), []byte(uploadSignature(key, id, until))) {
		return slipway.Deploy{}, wrong
	}
	u, w, found, err := p.engine.Arriving(c.Request().Context(), id)
	now := p.store.Now()
	if err == nil && now.After(time.Unix(seconds, 0)) && !(found && now.Before(u.TouchedAt.Add(uploadLife))) {
		err = late
	}
	if err == nil {
		inbound.Known(c.Request().Context())
	}
	return w, err
}

// putBlock receives a block of the archive.
func (p *uploads) putBlock(c echo.Context, w slipway.Deploy) error {
	block := c.QueryParam("blockid")
	if raw, err := base64.StdEncoding.DecodeString(block); err != nil || len(raw) == 0 || len(raw) > 64 {
		return blobErrorf("InvalidQueryParameterValue", "blockid must be 1 to 64 bytes in base64.")
	}
	r := c.Request()
	if r.ContentLength == 0 {
		return blobErrorf("InvalidHeaderValue", "A block cannot be empty: Content-Length is 0.")
	}
	if err := p.engine.PutBlock(r.Context(), w.ID, block, r.Body); err != nil {
		return err
	}
	for _, name := range []string{"Content-MD5", "x-ms-content-crc64"} { // checked by now
		if sum := r.Header.Get(name); sum != "" {
			c.Response().Header().Set(name, sum)
		}
	}
	return c.NoContent(http.StatusCreated)
}

// putBlockList assembles the archive from the received blocks, in the order of
// the list.
func (p *uploads) putBlockList(c echo.Context, w slipway.Deploy) error {
	ids, err := readBlockList(c, w.HasDAGs())
	if err != nil {
		return err
	}
	if err := p.checkConditions(c, w); err != nil {
		return err
	}
	md5, err := md5Header(c.Request(), "x-ms-blob-content-md5")
	if err != nil {
		return err
	}
	w, err = p.engine.PutBlockList(c.Request().Context(), w.ID, ids, md5)
	if errors.Is(err, deploy.ErrNoBlock) {
		return &blobError{err, http.StatusBadRequest, "InvalidBlockList"}
	}
	if err != nil {
		return err
	}
	return p.answerCreated(c, w)
}

// answerCreated answers after the whole archive was received. The CLI sends the
// version id from the header to finalize.
func (p *uploads) answerCreated(c echo.Context, w slipway.Deploy) error {
	b, _, err := p.engine.Blob(c.Request().Context(), w)
	if err != nil {
		return err
	}
	setBlobHeaders(c, w, b)
	return c.NoContent(http.StatusCreated)
}
