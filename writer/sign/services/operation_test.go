package services

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestOperation(t *testing.T) {
	for _, test := range []struct{ service, method, url, header, want string }{
		{"dynamodb", "POST", "https://dynamodb.eu-west-1.amazonaws.com/", "X-Amz-Target=DynamoDB_20120810.PutItem", "PutItem"},
		{"monitoring", "POST", "https://monitoring.eu-west-1.amazonaws.com/service/GraniteServiceVersion20100801/operation/PutMetricData", "", "PutMetricData"},
		{"sts", "GET", "https://sts.eu-west-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15", "", "GetCallerIdentity"},
		{"sts", "POST", "https://sts.eu-west-1.amazonaws.com/", "", ""}, // it is in the body
		{"lambda", "GET", "https://lambda.eu-west-1.amazonaws.com/2015-03-31/functions/", "", ""},
		{"s3", "GET", "https://s3.eu-west-1.amazonaws.com/", "", "ListBuckets"},
		{"s3", "GET", "http://127.0.0.1:1234/", "", "ListBuckets"},
		{"s3", "GET", "http://127.0.0.1:1234/bucket", "", "ListObjects"},
		{"s3", "GET", "http://127.0.0.1:1234/bucket/?list-type=2&prefix=a", "", "ListObjectsV2"},
		{"s3", "PUT", "http://127.0.0.1:1234/bucket/a%2Fb//c?x-id=PutObject", "", "PutObject"},
		{"s3", "GET", "https://bucket.s3.amazonaws.com/", "", "ListObjects"},
		{"s3", "GET", "https://bucket.s3.eu-west-1.amazonaws.com:443/key", "", "GetObject"},
		{"s3", "HEAD", "https://bucket.s3.eu-west-1.amazonaws.com/", "", "HeadBucket"},
		{"s3", "HEAD", "https://bucket.s3-us-west-2.amazonaws.com/key", "", "HeadObject"},
		{"s3", "GET", "https://s3-us-west-2.amazonaws.com/bucket", "", "ListObjects"},
		{"s3", "GET", "https://s3.dualstack.us-west-2.amazonaws.com/bucket/key", "", "GetObject"},
		{"s3", "GET", "https://bucket.vpce-1a2b.s3.us-east-1.vpce.amazonaws.com/name/key", "", "GetObject"}, // bucket is no bucket here
		{"s3", "GET", "https://bucket.vpce-1a2b.s3.us-east-1.vpce.amazonaws.com/name", "", "ListObjects"},
		{"s3", "GET", "https://name.bucket.vpce-1a2b.s3.us-east-1.vpce.amazonaws.com/key", "", "GetObject"},
		{"s3", "GET", "https://mfzwi23gnjvgw.accesspoint.s3-global.amazonaws.com/key", "", "GetObject"},
		{"s3express", "PUT", "https://bucket--usw2-az1--x-s3.s3express-usw2-az1.us-west-2.amazonaws.com/key", "", "PutObject"},
		{"s3", "PUT", "https://bucket.s3.amazonaws.com/key?uploadId=u&partNumber=1", "", "UploadPart"},
		{"s3", "PUT", "https://bucket.s3.amazonaws.com/key?uploadId=u&partNumber=1", "X-Amz-Copy-Source=b/k", "UploadPartCopy"},
		{"s3", "PUT", "https://bucket.s3.amazonaws.com/key", "X-Amz-Copy-Source=b/k", "CopyObject"},
		{"s3", "POST", "https://bucket.s3.amazonaws.com/key?uploads", "", "CreateMultipartUpload"},
		{"s3", "POST", "https://bucket.s3.amazonaws.com/key?uploads=", "", "CreateMultipartUpload"},
		{"s3", "POST", "https://bucket.s3.amazonaws.com/key?uploadId=u", "", "CompleteMultipartUpload"},
		{"s3", "DELETE", "https://bucket.s3.amazonaws.com/key?uploadId=u", "", "AbortMultipartUpload"},
		{"s3", "POST", "https://bucket.s3.amazonaws.com/?delete", "", "DeleteObjects"},
		{"s3", "POST", "https://bucket.s3.amazonaws.com/", "", ""}, // a form of a browser
		{"s3", "GET", "https://bucket.s3.amazonaws.com/?inventory&id=1", "", "GetBucketInventoryConfiguration"},
		{"s3", "GET", "https://bucket.s3.amazonaws.com/?inventory", "", "ListBucketInventoryConfigurations"},
		{"s3", "GET", "https://123456789012.s3-control.eu-west-1.amazonaws.com/v20180820/jobs", "X-Amz-Account-Id=123456789012", ""},
	} {
		r := httptest.NewRequest(test.method, test.url, nil)
		if name, value, ok := strings.Cut(test.header, "="); ok {
			r.Header.Set(name, value)
		}
		if got := Operation(test.service, r); got != test.want {
			t.Errorf("%s %s: %q, want %q", test.method, test.url, got, test.want)
		}
	}
}

// TestOperationBotocore compares the operations of S3 with those of requests that botocore makes.
func TestOperationBotocore(t *testing.T) {
	t.Parallel()
	var requests []struct {
		Name, Method, URL string
		Header            map[string]string
	}
	if err := json.Unmarshal(run(t, "testdata/s3requests.py"), &requests); err != nil {
		t.Fatal(err)
	}
	if len(requests) < 200 {
		t.Errorf("only %d requests", len(requests))
	}
	for _, one := range requests {
		r := httptest.NewRequest(one.Method, one.URL, nil)
		for k, v := range one.Header {
			r.Header.Set(k, v)
		}
		if got := Operation("s3", r); got != one.Name {
			t.Errorf("%s %s: %q, want %q", one.Method, one.URL, got, one.Name)
		}
	}
}
