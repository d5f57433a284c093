package agent

import (
	"net/http"
	"testing"
)

func TestRedirects(t *testing.T) {
	for name, tt := range map[string]struct {
		from, to    string
		keeps, fail bool
	}{
		"same portal":       {from: "https://portal/agent", to: "https://portal/other", keeps: true},
		"same, unencrypted": {from: "http://portal/agent", to: "http://portal/other", keeps: true},
		"bucket":            {from: "https://portal/agent", to: "https://bucket/pack"},
		"other port":        {from: "https://portal/agent", to: "https://portal:8443/agent"},
		"other scheme":      {from: "http://portal/agent", to: "https://portal/agent"},
		"no encryption":     {from: "https://portal/agent", to: "http://portal/agent", fail: true},
		"bucket without it": {from: "https://portal/agent", to: "http://bucket/pack", fail: true},
	} {
		t.Run(name, func(t *testing.T) {
			via, req := request(t, tt.from), request(t, tt.to)
			if err := keepToken(req, []*http.Request{via}); (err != nil) != tt.fail {
				t.Fatalf("error %v", err)
			}
			if keeps := req.Header.Get("Authorization") != ""; !tt.fail && keeps != tt.keeps {
				t.Errorf("the token is sent: %v", keeps)
			}
		})
	}
}

func request(t *testing.T, at string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer token")
	return req
}
