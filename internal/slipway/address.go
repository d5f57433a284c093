package slipway

import (
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// Forms of a host: labels of DNS, as in Docker's references. Names of
// containers, which addresses of web pages may have, hold underscores too.
var (
	registryHost = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	webHost      = regexp.MustCompile(`^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$`)
	numberLabel  = regexp.MustCompile(`^([0-9]+|0x[0-9a-f]*)$`)
)

// CheckRegistry returns the host of a registry in lower case, perhaps with a
// port: "quay.io", "registry.example.com:5000", "[2001:db8::1]:5000".
func CheckRegistry(text string) (string, error) {
	host := strings.ToLower(strings.TrimSpace(text))
	host = strings.TrimSuffix(strings.TrimPrefix(host, "https://"), "/")
	if !isHost(host, registryHost) || RegistryHost(host+"/x") != host {
		return "", Errorf(Invalid, "%q is no registry. One looks like quay.io or registry.example.com:5000.", shortened(text))
	}
	return host, nil
}

// maxURL is the longest accepted address of a web page, in bytes.
const maxURL = 2048

// CheckURL returns the address of a web page without blanks around; "" stays
// "". An address names a host and neither user nor password: pages show it.
func CheckURL(text string) (string, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return "", nil
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || !isHost(strings.ToLower(u.Host), webHost):
		return "", Errorf(Invalid, "%q is not a web address; one looks like https://airflow.example.com.", shortened(text))
	case u.User != nil:
		return "", Errorf(Invalid, "The address of %s holds a user or a password, which everybody would see. Leave it out.", u.Host)
	case len(text) > maxURL:
		return "", Errorf(Invalid, "An address may have %d bytes at most. This one has %d.", maxURL, len(text))
	case strings.ContainsFunc(text, unprintable) || strings.ContainsAny(text, " \"<>\\^`{|}"):
		return "", Errorf(Invalid, "%q is not a web address: write characters like spaces and quotes as %%20 and %%22.", shortened(text))
	}
	return text, nil
}

// isHost reports whether text is a name of a form, an IPv4 address or an IPv6
// address in brackets, perhaps with a port.
func isHost(text string, form *regexp.Regexp) bool {
	host, port, withPort := text, "", false
	if i := strings.LastIndexByte(text, ':'); i > strings.LastIndexByte(text, ']') {
		host, port, withPort = text[:i], text[i+1:], true
	}
	if n, err := strconv.ParseUint(port, 10, 16); withPort && (err != nil || n == 0) {
		return false
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, closed := strings.CutSuffix(inner, "]")
		ip, err := netip.ParseAddr(inner)
		return closed && err == nil && ip.Is6() && ip.Zone() == ""
	}
	if last := host[strings.LastIndexByte(host, '.')+1:]; numberLabel.MatchString(last) {
		ip, err := netip.ParseAddr(host) // browsers take any name that ends in a number for an address
		return err == nil && ip.Is4()
	}
	return len(host) <= 253 && form.MatchString(host)
}

// shortened is text of a user for a sentence.
func shortened(text string) string {
	if len(text) > 200 {
		return strings.ToValidUTF8(text[:200], "") + "…"
	}
	return text
}

// addressForm finds addresses in a text, with what stands around: the slashes
// of a URL, the port, and the slash of a path.
var addressForm = regexp.MustCompile(`(//)?(\[[0-9a-fA-F:.]+(?:%[0-9A-Za-z]+)?\]|[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){2,7}(?:\.[0-9]{1,3}){0,3})(:[0-9]+)?(/)?`)

// HideAddresses returns text from another program without addresses of private
// networks, which concern nobody but administrators: "dial tcp an internal
// address: connection refused". References of images keep theirs: people wrote
// them.
func HideAddresses(text string) string {
	return addressForm.ReplaceAllStringFunc(text, func(found string) string {
		m := addressForm.FindStringSubmatch(found)
		ip, err := netip.ParseAddr(strings.Trim(m[2], "[]"))
		reference := m[1] == "" && m[4] != ""
		if err != nil || reference || !isInternal(ip.Unmap()) {
			return found
		}
		return m[1] + "an internal address" + m[4]
	})
}

// sharedAddresses are those of carriers, for networks behind them (RFC 6598).
var sharedAddresses = netip.MustParsePrefix("100.64.0.0/10")

func isInternal(ip netip.Addr) bool {
	return ip.IsPrivate() || ip.IsLinkLocalUnicast() || sharedAddresses.Contains(ip)
}
