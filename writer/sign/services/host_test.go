package services

import "testing"

func TestHost(t *testing.T) {
	for _, test := range []struct{ service, region, target, host, scope string }{
		{"s3", "eu-west-1", "GET /bucket/key", "s3.eu-west-1.amazonaws.com", "eu-west-1"},
		{"s3", "cn-north-1", "GET /bucket/key", "s3.cn-north-1.amazonaws.com.cn", "cn-north-1"},
		{"iam", "eu-west-1", "POST /", "iam.amazonaws.com", "us-east-1"}, // botocore signs for its own region if it has an endpoint URL
		{"iam", "cn-northwest-1", "POST /", "iam.cn-north-1.amazonaws.com.cn", "cn-north-1"},
		{"dynamodb", "eu-west-1", "DynamoDB_20120810.GetItem", "dynamodb.eu-west-1.amazonaws.com", "eu-west-1"},
		{"dynamodb", "eu-west-1", "DynamoDBStreams_20120810.GetRecords", "streams.dynamodb.eu-west-1.amazonaws.com", "eu-west-1"},
		{"execute-api", "eu-west-1", "GET /prod", "", ""},
		{"s3", "nowhere", "GET /bucket/key", "", ""},
		{"s3", "*", "GET /bucket/key", "", ""}, // a multi-region access point
	} {
		host, scope, err := Host(test.service, test.region, test.target)
		if host != test.host || scope != test.scope || (err != nil) != (test.host == "") {
			t.Errorf("%s in %s, %s: %q signed for %q, %v; want %q for %q", test.service, test.region, test.target, host, scope, err, test.host, test.scope)
		}
	}
}
