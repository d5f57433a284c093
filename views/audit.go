package views

import "strings"

// auditVerbs are the verbs of audit rows, each before the subject. The detail
// replaces a %s.
var auditVerbs = map[string]string{
	"account.disable":          "disabled the account",
	"account.enable":           "enabled the account",
	"account.remove":           "removed the account",
	"account.signin":           "signed in to the account",
	"account.signin-failed":    "could not sign in to the account",
	"component.forget":         "forgot the component",
	"deploy.cancel":            "cancelled",
	"deploy.confirm":           "confirmed",
	"deploy.image":             "began",
	"deploy.return":            "returned by",
	"deploy.upload":            "uploaded",
	"deployment.apply-command": "set the apply command of",
	"deployment.create":        "created the Deployment",
	"deployment.delete":        "deleted the Deployment",
	"deployment.edit":          "edited the settings of",
	"image.register":           "said which image runs at",
	"installation.setup":       "set up Slipway with the Workspace",
	"invitation.create":        "invited",
	"invitation.remove":        "took an invitation back",
	"login.allow":              "let the astro CLI act for",
	"member.join":              "accepted the invitation of",
	"member.remove":            "removed from the Workspace",
	"member.role":              "changed the role of",
	"registry.drop":            "removed the login at the registry",
	"registry.set":             "set the login at the registry",
	"switch.apply":             "turned DAG-only deploys %s for",
	"switch.cancel":            "took back the switch of",
	"switch.order":             "asked to turn DAG-only deploys %s for",
	"switch.prepare":           "prepared a switch by",
	"token.create":             "made the",
	"token.edit":               "edited the",
	"token.keep":               "kept the",
	"token.revoke":             "revoked the",
	"token.rotate":             "gave a new secret to the",
	"workspace.create":         "created the Workspace",
	"workspace.rename":         "renamed the Workspace",
}

// AuditVerb returns the verb for an action, and the part of the detail left to
// show. An unknown action is its own verb.
func AuditVerb(action, detail string) (verb, rest string) {
	verb = auditVerbs[action]
	switch {
	case verb == "":
		return action, detail
	case strings.Contains(verb, "%s"):
		return strings.Replace(verb, "%s", detail, 1), ""
	}
	return verb, detail
}

// Details of sign-ins in the audit log.
const (
	SignedInByPassword = "By password."
	TooManyTries       = "Too many attempts."
	Somebody           = "Somebody"
)

// FailureReason says why a sign-in failed, for the audit log. The form does not
// tell the three apart.
func FailureReason(known, disabled bool) string {
	switch {
	case !known:
		return "There is no such account."
	case disabled:
		return "The account is disabled."
	}
	return "Wrong password."
}
