package services

import (
	"fmt"
	"strings"
)

// Limits are the services and regions that requests may be signed for. The zero value
// allows all.
type Limits struct {
	allowed []limit
}

type limit struct{ service, region string } // "*" for any

// ParseLimits reads SERVICE[@REGION],… where * stands for any service or region. A
// service is its signing name.
func ParseLimits(list string) (Limits, error) {
	var l Limits
	for _, item := range strings.Split(list, ",") {
		service, region, at := strings.Cut(strings.TrimSpace(item), "@")
		if !at {
			region = "*"
		}
		if !isName(service) || !isName(region) {
			return Limits{}, fmt.Errorf("%q is not SERVICE or SERVICE@REGION", item)
		}
		l.allowed = append(l.allowed, limit{service, region})
	}
	return l, nil
}

// isName tells whether s is *, or of letters, digits and what else names have.
func isName(s string) bool {
	return s == "*" || s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-._") == ""
}

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
