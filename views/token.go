package views

import (
	"fmt"
	"strings"

	"slipway/internal/slipway"
)

// Reasons why a person may not hold a token today.
const (
	HolderDisabled = "whose account is disabled"
	HolderRemoved  = "whose account was removed"
	HolderGone     = "who is no longer in this Workspace"
)

// HolderIs is the reason of a person with too small a role.
func HolderIs(role slipway.Role) string { return fmt.Sprintf("who is %s now", role) }

// KnowsSecret warns of a person with the secret of a token.
func KnowsSecret(name, why string) string { return fmt.Sprintf("%s, %s, knows the secret.", name, why) }

// TokenHelp is the lines to copy for one Deployment, or the question for which.
type TokenHelp struct {
	Address string // of the portal
	Action  string // the start of the addresses of the forms
	Token   string // just made, so that nothing else has it; "" for none
	Choices []Option
	Lines   *TokenLines // nil until a Deployment is chosen
}

func (h TokenHelp) title() string {
	if h.Token != "" {
		return "Use this token"
	}
	return "How to use a token"
}

// TokenLines are the commands that deploy with a token to one Deployment.
type TokenLines struct {
	Address      string // of the portal
	Organization string
	Deployment   slipway.DeploymentID
	Name         string             // of the Deployment
	Token        string             // "" for a placeholder
	Kind         slipway.DeployKind // the simplest that the token may make; "" for none
	Folder       string             // the only folder that the token changes; "" for all
}

// curls reports whether one upload with curl is a whole deploy: an image is
// pushed first.
func (l TokenLines) curls() bool { return l.Kind == slipway.DAGOnly }

func (l TokenLines) export() string {
	token := l.Token
	if token == "" {
		token = "TOKEN"
	}
	return "export ASTRO_API_TOKEN=" + token + "\n"
}

func (l TokenLines) deploymentURL() string {
	return l.Address + "/v1/organizations/" + l.Organization + "/deployments/" + string(l.Deployment)
}

func (l TokenLines) astroLines() string {
	flag := map[slipway.DeployKind]string{slipway.DAGOnly: " --dags", slipway.ImageOnly: " --image"}[l.Kind]
	return l.export() + "export ASTRO_DOMAIN=localhost\n" +
		"astro config set -g local.core " + l.Address + "\n" +
		"astro deploy " + string(l.Deployment) + flag
}

// curlLines pack the dags folder, or the contents of the token's folder as they
// are.
func (l TokenLines) curlLines() string {
	pack, query := "dags", "?wait=60s"
	if l.Folder != "" {
		pack, query = "-C "+shellWord("dags/"+l.Folder)+" .", query+"&dagsPath=."
	}
	return l.export() + "tar -czf /tmp/dags.tar.gz " + pack + "\n" +
		"curl --fail-with-body -H \"Authorization: Bearer $ASTRO_API_TOKEN\" --data-binary @/tmp/dags.tar.gz \\\n" +
		"  \"" + l.deploymentURL() + "/deploys/upload" + query + "\""
}

func (l TokenLines) readLines() string {
	return l.export() + "curl --fail-with-body -H \"Authorization: Bearer $ASTRO_API_TOKEN\" \\\n  \"" + l.deploymentURL() + "\""
}

// shellWord quotes text for a shell where that is needed.
func shellWord(text string) string {
	plain := func(r rune) bool {
		return r == '/' || r == '.' || r == '_' || r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
	}
	if strings.IndexFunc(text, func(r rune) bool { return !plain(r) }) < 0 {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// kindWords name a kind of deploy in a sentence.
func kindWords(k slipway.DeployKind) string {
	switch k {
	case slipway.DAGOnly:
		return "DAGs"
	case slipway.ImageOnly:
		return "an image"
	}
	return "an image and DAGs"
}

// TokenNameFor is the name offered for a token for a Deployment, within the
// limit of names.
func TokenNameFor(deployment string) string {
	name := []rune("ci-" + deployment)
	return string(name[:min(len(name), 80)])
}

// ChooseDeployment is the first entry of a list of Deployments.
const ChooseDeployment = "Choose a Deployment"
