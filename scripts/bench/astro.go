package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
)

// deployByCLI deploys archive as the astro CLI does, with the client that it
// uploads with, until it runs.
func (f *follower) deployByCLI(ctx context.Context, archive string) error {
	all, err := f.p.founded()
	if err != nil {
		return err
	}
	path := fmt.Sprintf("/v1/organizations/%s/deployments/%s/deploys", all.Organization, all.Deployment)
	var begun struct {
		ID, DagsUploadURL string
		Number            int
	}
	if err := f.p.api(ctx, all.Token, path, `{"type":"DAG_ONLY","description":""}`, &begun); err != nil {
		return err
	}
	version, err := uploadBlob(ctx, begun.DagsUploadURL, archive)
	if err != nil {
		return err
	}
	if err := f.p.api(ctx, all.Token, path+"/"+begun.ID+"/finalize", `{"dagTarballVersion":"`+version+`"}`, &begun); err != nil {
		return err
	}
	return f.until(ctx, all.Deployment, begun.Number, "deployed")
}

func uploadBlob(ctx context.Context, address, archive string) (version string, err error) {
	file, err := os.Open(archive)
	if err != nil {
		return "", err
	}
	defer file.Close()
	client, err := blockblob.NewClientWithNoCredential(address, nil)
	if err != nil {
		return "", err
	}
	done, err := client.UploadStream(ctx, file, nil)
	if err != nil {
		return "", err
	}
	if done.VersionID == nil {
		return "", fmt.Errorf("the upload of %s was given no version", archive)
	}
	return *done.VersionID, nil
}

// founded is what init said.
type founded struct {
	Organization string `json:"organizationId"`
	Deployment   string `json:"deploymentId"`
	Token        string `json:"token"`
}

func (p *portal) founded() (all founded, err error) {
	text, err := os.ReadFile(p.data + ".json")
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	return all, err
}

// api posts to the API, and reads the answer into v.
func (p *portal) api(ctx context.Context, token, path, body string, v any) error {
	answer, err := p.request(ctx, http.MethodPost, path, map[string]string{
		"Authorization": "Bearer " + token, "Content-Type": "application/json",
	}, strings.NewReader(body))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("POST %s: %s", path, answer.Status)
	}
	return json.NewDecoder(answer.Body).Decode(v)
}
