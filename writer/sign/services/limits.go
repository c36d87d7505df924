package services

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/xrash/smetrics"
)

// Limits are the services and regions that requests may be signed for. The zero value
// allows all.
type Limits struct {
	allowed []limit
}

type limit struct{ service, region string } // "*" for any

// ParseLimits reads SERVICE[@REGION],… where * stands for any service or region. A
// service is the name that signatures for it bear. The error says what is wrong, and, for
// a name that is not a signing name but another name of a service or close to one, which
// one to write. Any other unknown name is accepted: it may be newer than the table, or
// that of a service which is not AWS's.
func ParseLimits(list string) (Limits, error) {
	var l Limits
	for item := range strings.SplitSeq(list, ",") {
		item = strings.TrimSpace(item)
		service, region, at := strings.Cut(item, "@")
		if !at {
			region = "*"
		}
		switch {
		case item == "":
			return Limits{}, errors.New("has an empty entry: write SERVICE or SERVICE@REGION, separated by commas")
		case !isName(service) || !isName(region):
			return Limits{}, fmt.Errorf("%q is not SERVICE or SERVICE@REGION, such as s3@eu-west-1; * stands for any", item)
		}
		if one := (limit{service, region}); !slices.Contains(l.allowed, one) {
			if err := isSigningName(service); err != nil {
				return Limits{}, err
			}
			l.allowed = append(l.allowed, one)
		}
	}
	return l, nil
}

// isName tells whether s is * or could be the name of a service or region: the longest
// of AWS's has 35 bytes.
func isName(s string) bool {
	return s == "*" || s != "" && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") == ""
}

// plain is a name as people may have it in mind: in small letters, without punctuation.
func plain(name string) string { return unpunctuated.Replace(strings.ToLower(name)) }

var unpunctuated = strings.NewReplacer("-", "", "_", "", ".", "")

// otherNames are the signing names by the plain form of all names that the table has.
var otherNames = sync.OnceValue(func() map[string]string {
	names := map[string]string{}
	for _, s := range known().services {
		for _, other := range []string{s.id, s.signing, s.endpointPrefix()} {
			if p := plain(other); names[p] == "" {
				names[p] = s.signing
			}
		}
	}
	return names
})

// isSigningName is an error for another name of a service, and for a misspelt one.
func isSigningName(name string) error {
	c := known()
	if name == "*" || c.bySigning[name] != nil {
		return nil
	}
	if signing := otherNames()[plain(name)]; signing != "" {
		return fmt.Errorf("requests to %s are signed as %s: write %s", name, signing, signing)
	}
	best, score := "", 0.92 // of Jaro and Winkler: less is a name of its own
	for _, s := range c.services {
		if near := smetrics.JaroWinkler(name, s.signing, 0.7, 4); near > score {
			best, score = s.signing, near
		}
	}
	if best != "" {
		return fmt.Errorf("no service is signed as %q: did you mean %s?", name, best)
	}
	return nil
}

// endpointPrefix is what hosts of the service begin with.
func (s *service) endpointPrefix() string { return head(s.hosts[len(s.hosts)-1].template) }

// Allow tells whether requests may be signed for the service in the region. A region set
// of SigV4A, such as us-east-1,us-west-2, is allowed if all of it is.
func (l Limits) Allow(service, region string) bool {
	if len(l.allowed) == 0 {
		return true
	}
	for _, r := range strings.Split(region, ",") {
		if !l.one(service, strings.TrimSpace(r)) {
			return false
		}
	}
	return true
}

func (l Limits) one(service, region string) bool {
	for _, a := range l.allowed {
		if (a.service == "*" || a.service == service) && (a.region == "*" || a.region == region) {
			return true
		}
	}
	return false
}
