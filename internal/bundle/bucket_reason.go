package bundle

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
	"golang.org/x/oauth2"
	"google.golang.org/api/googleapi"

	"slipway/internal/slipway"
)

// answer is what a bucket's service said with an error.
type answer struct {
	code   string // "AccessDenied"; "" for none
	call   string // "PutObject"; "" if unknown
	region string // of the bucket, if the service tells
	status int    // of HTTP; 0 without an answer
}

// answerIn finds the service's answer in an error of one of the drivers.
func answerIn(err error) (a answer) {
	if e, ok := errors.AsType[interface {
		error
		HTTPResponse() *smithyhttp.Response
	}](err); ok && e.HTTPResponse() != nil && e.HTTPResponse().Response != nil {
		a.status, a.region = e.HTTPResponse().StatusCode, e.HTTPResponse().Header.Get("X-Amz-Bucket-Region")
	}
	if e, ok := errors.AsType[interface {
		error
		Operation() string
	}](err); ok {
		a.call = e.Operation()
	}
	if e, ok := errors.AsType[interface {
		error
		ErrorCode() string
	}](err); ok {
		a.code = e.ErrorCode()
	}
	if e, ok := errors.AsType[*azcore.ResponseError](err); ok {
		a.code, a.status = e.ErrorCode, e.StatusCode
	}
	if e, ok := errors.AsType[*googleapi.Error](err); ok {
		if a.status = e.Code; len(e.Errors) > 0 {
			a.code = e.Errors[0].Reason
		}
	}
	if e, ok := errors.AsType[*oauth2.RetrieveError](err); ok && e.Response != nil {
		a.code, a.status = e.ErrorCode, e.Response.StatusCode
	}
	return a
}

// details returns the code and the call in parentheses, to follow a statement.
func (a answer) details() string {
	text := a.code
	if text == "" && a.status > 0 {
		text = http.StatusText(a.status)
	}
	if a.call != "" && text != "" {
		text += " at " + a.call
	}
	if text == "" {
		return ""
	}
	return " (" + text + ")"
}

// reason is a cause that a service gives for its errors.
type reason struct {
	codes  []string // of S3, Azure and Google; a code may go on after a listed one ending in "."
	status int      // for answers with another code or none
	passes bool     // another try may go well without a person
	says   string   // follows "The bucket NAME", before the answer's details
	todo   string
}

// The texts are of the documentation of S3, of Azure Blob Storage and of Google
// Cloud Storage, each under "error codes".
var reasons = []reason{
	{codes: []string{"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "invalid_grant"},
		says: "refuses the portal's credentials, which have expired", todo: "Ask the administrator to renew them."},
	{codes: []string{"InvalidAccessKeyId", "InvalidClientTokenId", "UnrecognizedClientException", "InvalidToken", "InvalidSecurity", "invalid_client"},
		says: "does not know the portal's credentials", todo: "Ask the administrator to check which are set."},
	{codes: []string{"SignatureDoesNotMatch", "AuthenticationFailed", "InvalidAuthenticationInfo", "authError"},
		says: "does not accept the portal's credentials", todo: "Ask the administrator to check the secret key, and the portal's clock."},
	{codes: []string{"RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"},
		says: "refuses requests from the portal, whose clock is wrong", todo: "Ask the administrator to set it."},
	{codes: []string{"AuthorizationHeaderMalformed", "PermanentRedirect", "TemporaryRedirect", "Redirect", "MovedPermanently", "IllegalLocationConstraintException", "IncorrectEndpoint"}, status: http.StatusMovedPermanently,
		says: "is in another region than its address says", todo: "Ask the administrator to put the right one into --bucket, as in ?region=eu-central-1."},
	{codes: []string{"AccountProblem", "AllAccessDisabled", "AccountIsDisabled", "NotSignedUp", "OperationAborted.Account", "accountDisabled", "userProjectAccountProblem"},
		says: "refuses access because of its account", todo: "Ask the administrator to look at the account."},
	{codes: []string{"KMS.", "KeyVaultEncryptionKeyNotFound", "cloudKmsKeyError"},
		says: "cannot use its encryption key", todo: "Ask the administrator to look at the key."},
	{codes: []string{"InvalidObjectState", "BlobArchived", "ObjectNotInActiveTierError"},
		says: "has moved a file into its archive", todo: "Ask the administrator to bring it back, and to let no rule archive what Slipway stores."},
	{codes: []string{"QuotaExceeded", "InsufficientStorage", "XMinioStorageFull", "AccountQuotaExceeded"}, status: http.StatusInsufficientStorage, passes: true,
		says: "is full", todo: "Ask the administrator for space."},
	{codes: []string{"SlowDown", "Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequests", "TooManyRequestsException", "ServerBusy", "BandwidthLimitExceeded", "rateLimitExceeded", "userRateLimitExceeded"}, status: http.StatusTooManyRequests, passes: true,
		says: "asks for fewer requests", todo: "Try again in a few minutes; if that does not help, ask the administrator to look at it."},
	{codes: []string{"AccessDenied", "AuthorizationFailure", "AuthorizationPermissionMismatch", "AuthorizationSourceIPMismatch", "InsufficientAccountPermissions", "PublicAccessNotPermitted", "forbidden"}, status: http.StatusForbidden,
		says: "denies the portal access", todo: "Ask the administrator to let its credentials read, write, list and delete objects."},
	{status: http.StatusUnauthorized,
		says: "refuses access", todo: "Ask the administrator to check the portal's credentials."},
}

// matches reports whether the answer has a code of r.
func (r reason) matches(code string) bool {
	return code != "" && slices.ContainsFunc(r.codes, func(known string) bool {
		return code == known || strings.HasSuffix(known, ".") && strings.HasPrefix(code, known)
	})
}

// reasonOf returns the reason for an answer: by its code, or else its status.
func reasonOf(a answer) (reason, bool) {
	if i := slices.IndexFunc(reasons, func(r reason) bool { return r.matches(a.code) }); i >= 0 {
		return reasons[i], true
	}
	i := slices.IndexFunc(reasons, func(r reason) bool { return r.status > 0 && r.status == a.status })
	if i < 0 {
		return reason{}, false
	}
	return reasons[i], true
}

// text returns the sentences about a bucket.
func (r reason) text(bucket string, a answer) string {
	text := "The bucket " + bucket + " " + r.says + a.details() + ". "
	if a.region != "" && slices.Contains(r.codes, "PermanentRedirect") {
		return text + "Ask the administrator to put region=" + a.region + " into --bucket."
	}
	return text + r.todo
}

// vague reports whether an answer was without a body, as those to HEAD: the
// same as a GET would tell more.
func (a answer) vague() bool {
	bare := strings.ReplaceAll(http.StatusText(a.status), " ", "")
	return a.status >= 300 && a.status != http.StatusNotFound && slices.Contains([]string{"", "UnknownError", bare}, a.code)
}

// why returns the reason for err. For a vague answer, the bucket is asked again.
func (b *bucket) why(ctx context.Context, err error) (reason, answer, bool) {
	a := answerIn(err)
	if a.vague() && ctx.Err() == nil {
		_, _, again := b.blobs.ListPage(ctx, blob.FirstPageToken, 1, nil)
		if told := answerIn(again); again != nil && !told.vague() && told.code != "" {
			told.region, told.call = max(a.region, told.region), a.call
			a = told
		}
	}
	r, found := reasonOf(a)
	return r, a, found
}

// withoutCredentials are parts of the drivers' texts where no credentials are
// set: the drivers have no types for that.
var withoutCredentials = []string{"get credentials:", "failed to refresh cached credentials", "could not find default credentials", "failed to acquire a token", "no EC2 IMDS role found"}

const tryAgain = " Try again in a few minutes; if that does not help, ask the administrator to look at it."

// explain turns err into a sentence for people, with err as the cause for the
// log.
func (b *bucket) explain(ctx context.Context, err error) error {
	if b.ctx.Err() == nil && ctx.Err() != nil {
		return ctx.Err() // the caller has gone
	}
	return errors.Join(slipway.Errorf(slipway.Unavailable, "%s", b.sentence(ctx, err)), err)
}

func (b *bucket) sentence(ctx context.Context, err error) string {
	if b.ctx.Err() != nil {
		return "The portal stops, and with it the work on the bucket " + b.name + "."
	}
	r, a, found := b.why(ctx, err)
	if !found && errors.Is(err, errTimeout) && !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, syscall.ECONNRESET) { // drivers try again for long after those two
		return "The bucket " + b.name + " does not answer." + tryAgain
	}
	text := err.Error()
	_, untrusted := errors.AsType[x509.UnknownAuthorityError](err)
	_, misnamed := errors.AsType[x509.HostnameError](err)
	_, invalid := errors.AsType[x509.CertificateInvalidError](err)
	switch {
	case found:
		return r.text(b.name, a)
	case slices.ContainsFunc(withoutCredentials, func(part string) bool { return strings.Contains(text, part) }):
		return "The portal has no credentials for the bucket " + b.name + ", or they have expired. Ask the administrator to set them."
	case refused(err):
		return "The bucket " + b.name + " refuses access" + a.details() + ". Ask the administrator to check its credentials."
	case unknownHost(err):
		return "The host of the bucket " + b.name + " is not known to the network." + tryAgain
	case untrusted || misnamed || invalid:
		return "The bucket " + b.name + " shows a certificate that the portal does not trust. Ask the administrator to look at it."
	case gcerrors.Code(err) == gcerrors.NotFound && a.status != http.StatusForbidden:
		return "There is no bucket " + b.name + ". Ask the administrator to look at it."
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return "The connection to the bucket " + b.name + " broke off." + tryAgain
	}
	return "The bucket " + b.name + " cannot be reached" + a.details() + "." + tryAgain
}

// unknownHost reports whether the bucket's host was not found. The failure
// may be temporary.
func unknownHost(err error) bool {
	_, ok := errors.AsType[*net.DNSError](err)
	return ok
}

// permanent reports whether the same would come of another try.
func permanent(err error) bool {
	if unknownHost(err) {
		return false
	}
	if r, found := reasonOf(answerIn(err)); found {
		return !r.passes
	}
	switch gcerrors.Code(err) {
	case gcerrors.NotFound, gcerrors.PermissionDenied, gcerrors.InvalidArgument, gcerrors.Unimplemented, gcerrors.FailedPrecondition:
		return true
	}
	return refused(err)
}

// refused reports whether the bucket does not let us in.
func refused(err error) bool {
	status := answerIn(err).status
	return status == http.StatusUnauthorized || status == http.StatusForbidden || gcerrors.Code(err) == gcerrors.PermissionDenied
}

// causeMax is how many bytes of a driver's text are shown.
const causeMax = 300

// atStart returns err for an administrator who starts a program: the sentence,
// with the innermost cause in one line in place of the driver's whole text.
func atStart(err error) error {
	kind, text := slipway.Explain(err)
	joined, ok := err.(interface{ Unwrap() []error })
	if kind == slipway.Internal || !ok {
		return err
	}
	cause := innermost(joined.Unwrap()[len(joined.Unwrap())-1])
	if cause == "" || cause == text {
		return slipway.Errorf(kind, "%s", text)
	}
	return slipway.Errorf(kind, "%s The cause: %s.", text, strings.TrimSuffix(cause, "."))
}

// innermost returns the text of the last error in a chain, in one line. Of
// several, the first one has the cause.
func innermost(err error) string {
	for {
		next := errors.Unwrap(err)
		if all, ok := err.(interface{ Unwrap() []error }); ok && len(all.Unwrap()) > 0 {
			next = all.Unwrap()[0]
		}
		if next == nil {
			break
		}
		err = next
	}
	text := strings.Join(strings.Fields(err.Error()), " ")
	if len(text) > causeMax {
		text = strings.ToValidUTF8(text[:causeMax], "") + "…"
	}
	return text
}
