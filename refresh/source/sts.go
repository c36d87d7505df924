package source

import (
	"cmp"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
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

// fromSTS is the credentials in an answer of STS, and whether they are complete.
func fromSTS(c *types.Credentials, source string) (aws.Credentials, bool) {
	if c == nil || aws.ToString(c.AccessKeyId) == "" || aws.ToString(c.SecretAccessKey) == "" || c.Expiration == nil || c.Expiration.Year() < 1970 {
		return aws.Credentials{}, false
	}
	return aws.Credentials{
		AccessKeyID: *c.AccessKeyId, SecretAccessKey: *c.SecretAccessKey, SessionToken: aws.ToString(c.SessionToken),
		Source: source, CanExpire: true, Expires: *c.Expiration,
	}, true
}

// refusedWith says whether a server answered with that status.
func refusedWith(err error, status int) bool {
	var re *awshttp.ResponseError
	return errors.As(err, &re) && re.HTTPStatusCode() == status
}

// account is the account of an ARN, "" if it has none.
func account(arn string) string {
	if parts := strings.Split(arn, ":"); len(parts) >= 6 {
		return parts[4]
	}
	return ""
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
