package source

import (
	"cmp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// partition is a part of AWS with endpoints and accounts of its own, by the second part
// of an ARN.
type partition struct {
	domain    string // of its services' addresses
	dualStack string // of the addresses that IPv6 reaches as well
	region    string // that STS is called in where none is configured
}

var partitions = map[string]partition{
	"aws":        {"amazonaws.com", "api.aws", "us-east-1"},
	"aws-cn":     {"amazonaws.com.cn", "api.amazonwebservices.com.cn", "cn-north-1"},
	"aws-us-gov": {"amazonaws.com", "api.aws", "us-gov-west-1"},
	"aws-eusc":   {"amazonaws.eu", "api.amazonwebservices.eu", "eusc-de-east-1"},
	"aws-iso":    {"c2s.ic.gov", "api.aws.ic.gov", "us-iso-east-1"},
	"aws-iso-b":  {"sc2s.sgov.gov", "api.aws.scloud", "us-isob-east-1"},
	"aws-iso-e":  {"cloud.adc-e.uk", "api.cloud-aws.adc-e.uk", "eu-isoe-west-1"},
	"aws-iso-f":  {"csp.hci.ic.gov", "api.aws.hci.ic.gov", "us-isof-south-1"},
}

// regionFor picks the region that STS is called in if none is configured. Each
// partition has an STS of its own, and roles are only known to that.
func regionFor(arn string) func(*sts.Options) {
	name, _, _ := strings.Cut(strings.TrimPrefix(arn, "arn:"), ":")
	return func(o *sts.Options) {
		o.Region = cmp.Or(o.Region, partitions[name].region, "us-east-1")
	}
}
