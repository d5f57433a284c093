package crash

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"slipway/e2e/program"
)

// rightAnswer is an answer that a portal may give to people who are at work on
// it. Whatever is answered otherwise is wrong.
type rightAnswer struct {
	method string
	path   *regexp.Regexp
	status int
	says   *regexp.Regexp // in the body, or for a redirect in where it leads; nil for anything
}

func right(method, path string, status int, says string) rightAnswer {
	r := rightAnswer{method: method, path: regexp.MustCompile(`^` + path + `(\?.*)?$`), status: status}
	if says != "" {
		r.says = regexp.MustCompile(says)
	}
	return r
}

// What may be said of a deploy that is not taken.
const (
	switchedOff  = `DAG-only deploys are not enabled for this Deployment|An image alone needs DAG-only deploys, which are not enabled`
	ended        = `Deploy #\d+ is (cancelled|failed)\b|This upload is over or was discarded`
	cancelled    = `Deploy #\d+ is cancelled\.`
	notStaged    = `Deploy #\d+ cannot be confirmed: it is (initialized|queued|deploying|deployed|failed|cancelled)\.`
	cameBetween  = `came in between`
	onDeployPage = `^/deployments/[0-9a-z]+/deploys/\d+$`
)

// The addresses.
const (
	anyDeployment = `/deployments/[0-9a-z]+`
	anyDeploy     = anyDeployment + `/deploys/\d+`
	anyAPIDeploys = `/v1/organizations/slipway` + anyDeployment + `/deploys`
)

// rightAnswers are all that the people of the crash tests may get. They cancel
// each other's deploys, turn the switch and return to what they please.
var rightAnswers = []rightAnswer{
	right("GET", anyDeployment+`(/deploys|/versions|/settings)?`, 200, ""),
	right("GET", anyDeploy+`(/return)?`, 200, ""),
	right("POST", `/uploads`, 201, ""),
	right("POST", `/uploads`, 409, switchedOff),
	right("PATCH", `/uploads/[^/]+`, 204, ""),
	right("PATCH", `/uploads/[^/]+`, 404, ended),
	right("PATCH", `/uploads/[^/]+`, 409, switchedOff+`|`+ended),
	right("POST", anyDeployment+`/deploys`, 303, onDeployPage),
	right("POST", anyDeployment+`/deploys`, 409, switchedOff),
	right("POST", anyDeploy+`/confirm`, 303, onDeployPage),
	right("POST", anyDeploy+`/confirm`, 409, switchedOff+`|`+notStaged+`|`+cameBetween),
	right("POST", anyDeploy+`/return`, 303, onDeployPage),
	right("POST", anyDeploy+`/return`, 409, cameBetween+`|is what runs already|never went live|is no longer kept`),
	right("POST", anyDeploy+`/cancel`, 303, anyDeployment),
	right("POST", anyDeploy+`/cancel`, 409, `is going live already|has ended: it is`),
	right("POST", anyDeployment+`/switch`, 303, anyDeployment),
	right("POST", anyDeployment+`/switch`, 409, `DAG-only deploys are (on|off) already`),
	right("POST", anyDeployment+`/settings/versions`, 303, anyDeployment),
	right("POST", anyAPIDeploys, 200, `"number":\d+`),
	right("POST", anyAPIDeploys, 409, switchedOff),
	right("PUT", `/v1/uploads/[0-9a-z]+`, 201, ""),
	right("PUT", `/v1/uploads/[0-9a-z]+`, 409, switchedOff+`|`+ended),
	right("POST", anyAPIDeploys+`/[0-9a-z]+/finalize`, 200, `"status":"(QUEUED|DEPLOYING|DEPLOYED)"`),
	right("POST", anyAPIDeploys+`/[0-9a-z]+/finalize`, 409, switchedOff+`|`+ended+`|`+notStaged),
	right("POST", anyAPIDeploys+`/[0-9a-z]+/finalize`, 400, switchedOff), // it was found out when the files were checked
	right("POST", anyAPIDeploys+`/upload`, 200, `"status":"(QUEUED|DEPLOYING|DEPLOYED)"`),
	right("POST", anyAPIDeploys+`/upload`, 409, switchedOff+`|`+cancelled+`|`+notStaged),
	right("POST", anyAPIDeploys+`/upload`, 400, switchedOff),
}

// judged says what is wrong with an answer, "" for nothing.
func judged(method, path string, r program.Reply) string {
	text := r.Body
	if to := r.Location(); r.Status == http.StatusSeeOther {
		text = to
	}
	for _, a := range rightAnswers {
		if a.method == method && a.status == r.Status && a.path.MatchString(path) && (a.says == nil || a.says.MatchString(text)) {
			return ""
		}
	}
	return fmt.Sprintf("%s %s was answered %d: %s", method, path, r.Status, strings.TrimSpace(r.Said()))
}
