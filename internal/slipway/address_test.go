package slipway

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// hosts are texts in the place of a host: whether a registry may have the name,
// and an address of a web page.
var hosts = map[string]struct{ registry, web bool }{
	"quay.io": {true, true}, "QUAY.io": {true, true}, "registry.example.com:5000": {true, true}, "localhost": {true, true}, "localhost:5000": {true, true},
	"a-b.example": {true, true}, "xn--grsse-kva.example": {true, true}, "10.1.2.3": {true, true}, "10.1.2.3:65535": {true, true},
	"[::1]:5000": {true, true}, "[2001:db8::1]": {true, true}, "1.a": {true, true}, "123.example": {true, true},
	"airflow": {false, true}, "airflow_web:8080": {false, true}, "air_flow.example": {false, true}, "_a.example": {false, true},
	strings.Repeat("a", 63) + ".io": {true, true},

	`a"><b>.io`: {}, "a'b.io": {}, "a<b.io": {}, "a b.io": {}, "a\tb.io": {}, "a\n.io": {}, "a\x00.io": {}, "a%22.io": {}, "größe.io": {}, "\u202ea.io": {}, "a\xff.io": {},
	"": {}, ".": {}, "..": {}, ".io": {}, "quay.io.": {}, "a..io": {}, "-a.io": {}, "a-.io": {}, "a,b.io": {}, "a;b.io": {}, "a`b`.io": {}, "$(a).io": {}, "*.io": {}, "a|b.io": {}, "a\\b.io": {},
	"quay.io:": {}, "quay.io:0": {}, "quay.io:65536": {}, "quay.io:x": {}, "quay.io:-1": {}, "quay.io:+80": {}, "quay.io:80:80": {}, ":5000": {},
	"user@quay.io": {}, "user:pw@quay.io": {}, "::1": {}, "[::1": {}, "[::1%25eth0]": {}, "[10.1.2.3]": {}, "[a]": {}, "[]": {},
	"999.1.1.1": {}, "10.1": {}, "0x7f.1": {}, "1.2.3.0x4": {}, "2130706433": {}, "010.1.2.3": {},
	strings.Repeat("a", 64) + ".io": {}, strings.Repeat("a.", 130) + "io": {},
}

func TestHosts(t *testing.T) {
	for host, tt := range hosts {
		got, err := CheckRegistry(" https://" + host + "/ ")
		if (err == nil) != tt.registry || err == nil && got != strings.ToLower(host) {
			t.Errorf("registry %q: %q, %v, want accepted %v", host, got, err, tt.registry)
		}
		for _, text := range []string{"https://" + host, "http://" + host + "/home?x=1#y"} {
			if got, err := CheckURL(text); (err == nil) != tt.web || err == nil && got != text {
				t.Errorf("address %q: %q, %v, want accepted %v", text, got, err, tt.web)
			}
		}
		if strings.ContainsFunc(host, unprintable) || !utf8.ValidString(host) {
			continue // Clean drops the characters before
		}
		if clean := (Git{URL: "https://" + host + "/c/1"}).Clean(); (clean.URL != "") != tt.web {
			t.Errorf("commit at %q: %q, want kept %v", host, clean.URL, tt.web)
		}
	}
}

func TestCheckURL(t *testing.T) {
	for text, part := range map[string]string{
		"": "", " https://airflow.example.com/a%20b ": "", "https://airflow.example.com/größe": "",
		"ftp://a.io": "not a web address", "a.io": "not a web address", "//a.io": "not a web address", "https:a.io": "not a web address", "javascript:alert(1)": "not a web address",
		"https://user@a.io": "user or a password", "https://user:pw@a.io": "user or a password", "https://a.io/" + strings.Repeat("a", 2048): "at most",
		"https://a.io/\"onclick": "spaces and quotes", "https://a.io/a b": "spaces and quotes", "https://a.io/<b>": "spaces and quotes", "https://a.io/\u202e": "spaces and quotes",
	} {
		got, err := CheckURL(text)
		if part == "" {
			if err != nil || got != strings.TrimSpace(text) {
				t.Errorf("%q: %q, %v", text, got, err)
			}
			continue
		}
		checkError(t, err, Invalid, part)
	}
}

func TestCheckRegistry(t *testing.T) {
	for _, text := range []string{"quay.io/team", "http://quay.io", "docker", "quay.io/", "https://quay.io"} {
		_, err := CheckRegistry(text)
		if good := strings.HasPrefix(strings.TrimPrefix(text, "https://"), "quay.io") && !strings.Contains(text, "team"); (err == nil) != good {
			t.Errorf("%q: %v, want accepted %v", text, err, good)
		}
	}
}

func TestHideAddresses(t *testing.T) {
	for text, want := range map[string]string{
		"dial tcp 10.1.2.3:5432: connect: connection refused":                 "dial tcp an internal address: connect: connection refused",
		"lookup registry.corp on 192.168.0.53:53: no such host":               "lookup registry.corp on an internal address: no such host",
		"Get \"https://172.16.9.9:5000/v2/\": EOF":                            "Get \"https://an internal address/v2/\": EOF",
		"read tcp [fd00::1]:4711->[fe80::2%eth0]:443: i/o timeout":            "read tcp an internal address->an internal address: i/o timeout",
		"fd12:3456::1 refused":                                                "an internal address refused",
		"::ffff:10.0.0.1":                                                     "an internal address",
		"10.1.2.3:5000/team/airflow:1 was not found":                          "10.1.2.3:5000/team/airflow:1 was not found",
		"dial tcp 127.0.0.1:80, 8.8.8.8:53 and 100.64.1.1":                    "dial tcp 127.0.0.1:80, 8.8.8.8:53 and an internal address",
		"at 14:03:51 on 2026-11-22T14:03:51.2040000Z, sha256:ab:cd, 2.10.5-1": "at 14:03:51 on 2026-11-22T14:03:51.2040000Z, sha256:ab:cd, 2.10.5-1",
		"999.1.1.1 is none":                                                   "999.1.1.1 is none",
	} {
		if got := HideAddresses(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
	r, err := Report{Component: "worker-1", Error: "dial tcp 10.1.2.3:443", Warning: "169.254.1.1"}.Check()
	if err != nil || r.Error != "dial tcp an internal address" || r.Warning != "an internal address" {
		t.Errorf("report %+v, %v", r, err)
	}
}
