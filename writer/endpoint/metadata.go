package endpoint

import (
	"encoding/json"
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

const (
	credentialsPath = "/latest/meta-data/iam/security-credentials"
	identityPath    = "/latest/meta-data/identity-credentials/ec2/security-credentials"
	// instanceID has the form of an id and can be nobody's. Older SDKs ask for it to see whether there is a service at all.
	instanceID = "i-00000000000000000"
)

// metadataBody is a credentials document up to its Expiration.
func metadataBody(c aws.Credentials, now time.Time) ([]byte, error) {
	return bodyPrefix(struct {
		Code            string
		LastUpdated     string
		Type            string
		AccessKeyID     string `json:"AccessKeyId"`
		SecretAccessKey string
		Token           string
		AccountID       string `json:"AccountId,omitempty"`
	}{"Success", now.UTC().Format(timestamp), "AWS-HMAC", c.AccessKeyID, c.SecretAccessKey, c.SessionToken, c.AccountID})
}

// metadataTree is the fixed part of the tree. No text ends in a newline: botocore takes the whole role listing for a name.
func metadataTree(region string) map[string]string {
	const data, dynamic = "/latest/meta-data", "/latest/dynamic"
	tree := map[string]string{
		"/":                                "latest",
		"/latest":                          "dynamic\nmeta-data",
		data:                               "iam/\nidentity-credentials/\ninstance-id",
		data + "/iam":                      "info\nsecurity-credentials/",
		credentialsPath:                    role,
		credentialsPath + "-extended":      role,
		data + "/identity-credentials":     "ec2/",
		data + "/identity-credentials/ec2": "security-credentials/",
		identityPath:                       "ec2-instance",
		data + "/instance-id":              instanceID,
	}
	if region != "" {
		tree[data] += "\nplacement/"
		tree[data+"/placement"] = "availability-zone\nregion"
		tree[data+"/placement/region"] = region
		tree[data+"/placement/availability-zone"] = region + "a" // botocore cuts the last letter off to get the region
		tree[dynamic] = "instance-identity/"
		tree[dynamic+"/instance-identity"] = "document"
	}
	return tree
}

// info names the role's account, which Terraform takes from here. An account that isn't known is therefore a 404, not a
// made-up number.
func (m *IMDS) info(w http.ResponseWriter) {
	d := m.current(m.defaultProfile())
	if d == nil || d.accountID == "" {
		refuse(w, http.StatusNotFound, "NotFound", "the account of these credentials is not known")
		return
	}
	body, _ := json.Marshal(struct { // strings always encode
		Code, LastUpdated, InstanceProfileArn string
		InstanceProfileID                     string `json:"InstanceProfileId"`
	}{
		"Success", m.since.UTC().Format(timestamp),
		"arn:" + partition(m.o.Region) + ":iam::" + d.accountID + ":instance-profile/" + role,
		"AIPA00000000000000000",
	})
	writeJSON(w, http.StatusOK, body)
}

// document has the members that SDKs decode and that are known to be true; region is what they are after.
func (m *IMDS) document(w http.ResponseWriter) {
	arch := map[string]string{"amd64": "x86_64", "386": "i386"}[runtime.GOARCH]
	if arch == "" {
		arch = runtime.GOARCH
	}
	doc := struct {
		AccountID        string `json:"accountId,omitempty"`
		Architecture     string `json:"architecture"`
		AvailabilityZone string `json:"availabilityZone"`
		InstanceID       string `json:"instanceId"`
		PendingTime      string `json:"pendingTime"`
		Region           string `json:"region"`
		Version          string `json:"version"`
	}{"", arch, m.o.Region + "a", instanceID, m.since.UTC().Format(timestamp), m.o.Region, "2017-09-30"}
	if d := m.current(m.defaultProfile()); d != nil {
		doc.AccountID = d.accountID
	}
	body, _ := json.Marshal(doc) // strings always encode
	write(w, http.StatusOK, "text/plain", body)
}

// partition is the first part of an ARN: https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html
func partition(region string) string {
	for prefix, name := range map[string]string{"cn-": "aws-cn", "us-gov-": "aws-us-gov", "eusc-": "aws-eusc"} {
		if strings.HasPrefix(region, prefix) {
			return name
		}
	}
	return "aws"
}
