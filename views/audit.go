package views

import (
	"slices"
	"strings"
)

// auditVerbs are the verbs of audit rows, each before the subject. The detail
// replaces a %s.
var auditVerbs = map[string]string{
	"account.create":             "added the account",
	"account.disable":            "disabled the account",
	"account.enable":             "enabled the account",
	"account.password":           "set the password of the account",
	"account.password-link":      "made a link to set the password of the account",
	"account.remove":             "removed the account",
	"account.rename":             "renamed the account",
	"account.sessions":           "ended the sessions of the account",
	"account.signin":             "signed in to the account",
	"account.signin-failed":      "could not sign in to the account",
	"account.signout-everywhere": "signed out everywhere from the account",
	"backup.finish":              "finished a backup to",
	"component.forget":           "forgot the component",
	"deploy.cancel":              "cancelled",
	"deploy.confirm":             "confirmed",
	"deploy.image":               "began",
	"deploy.return":              "returned by",
	"deploy.root":                "chose the folder of the DAGs for",
	"deploy.upload":              "uploaded",
	"deployment.apply-command":   "set the apply command of",
	"deployment.create":          "created the Deployment",
	"deployment.delete":          "deleted the Deployment",
	"deployment.edit":            "edited the settings of",
	"image.register":             "said which image runs at",
	"image.runs":                 "said that Airflow runs the wanted image of",
	"installation.setup":         "set up Slipway with the Workspace",
	"invitation.create":          "invited",
	"invitation.remove":          "revoked an invitation",
	"key.rotate":                 "made new keys for the data folder",
	"login.allow":                "let the astro CLI act for",
	"member.join":                "accepted the invitation of",
	"member.remove":              "removed from the Workspace",
	"member.role":                "changed the role of",
	"registry.drop":              "removed the login at the registry",
	"registry.set":               "set the login at the registry",
	"switch.apply":               "turned DAG-only deploys %s for",
	"switch.cancel":              "cancelled the switch of",
	"switch.order":               "asked to turn DAG-only deploys %s for",
	"switch.prepare":             "prepared a switch by",
	"token.create":               "made the",
	"token.edit":                 "edited the",
	"token.keep":                 "kept the",
	"token.revoke":               "revoked the",
	"token.rotate":               "gave a new secret to the",
	"workspace.create":           "created the Workspace",
	"workspace.delete":           "deleted the Workspace",
	"workspace.rename":           "renamed the Workspace",
}

// auditGroups are what an audit log can be filtered by: words for people, and
// the first parts of actions.
var auditGroups = []struct {
	name  string
	nouns []string
}{
	{"Deploys", []string{"deploy"}},
	{"Switches", []string{"switch"}},
	{"Deployments", []string{"deployment", "image", "component"}},
	{"People", []string{"member", "invitation"}},
	{"Tokens", []string{"token"}},
	{"Accounts and sign-ins", []string{"account", "login"}},
	{"Workspaces and registries", []string{"workspace", "registry"}},
	{"Installation", []string{"installation", "key", "backup"}},
}

// AuditGroups returns the groups of actions as options; chosen is the first noun
// of the chosen one.
func AuditGroups(chosen string) []Option {
	all := []Option{{Text: "Everything"}}
	for _, g := range auditGroups {
		all = append(all, Option{Value: g.nouns[0], Text: g.name, Chosen: g.nouns[0] == chosen})
	}
	return all
}

// AuditNouns returns the nouns of the group with the first noun given, nil for
// an unknown one.
func AuditNouns(first string) []string {
	for _, g := range auditGroups {
		if g.nouns[0] == first {
			return g.nouns
		}
	}
	return nil
}

// AuditActions returns the actions whose verb has a word.
func AuditActions(word string) []string {
	all := []string{}
	for action, verb := range auditVerbs {
		if strings.Contains(strings.ToLower(verb), strings.ToLower(word)) {
			all = append(all, action)
		}
	}
	slices.Sort(all)
	return all
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

// NoLonger is the option of a filter for somebody, or something, that is gone.
const NoLonger = "No longer there"

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
