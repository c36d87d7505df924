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

func TestEnds(t *testing.T) {
	for host, want := range map[string]bool{
		"sts.amazonaws.com":                                                 true,
		"STS.eu-west-1.amazonaws.com.":                                      true,
		"sts.cn-north-1.amazonaws.com.cn":                                   true,
		"iam.us-gov.amazonaws.com":                                          true,
		"dynamodb.us-iso-east-1.c2s.ic.gov":                                 true,
		"new-service.eu-west-1.api.aws":                                     true, // dual stack
		"s3.dualstack.eu-west-1.amazonaws.com":                              true,
		"sts-fips.us-east-1.amazonaws.com":                                  true,
		"123456789012.ddb.us-east-1.amazonaws.com":                          true,
		"bucket.s3.amazonaws.com":                                           true,
		"my.rds.elb.s3.us-east-1.amazonaws.com":                             true, // the name of a bucket
		"bucket.s3-us-west-2.amazonaws.com":                                 true,
		"bucket.s3-accelerate.amazonaws.com":                                true,
		"bucket.s3-accelerate.dualstack.amazonaws.com":                      true,
		"name-123456789012.s3-accesspoint.eu-west-1.amazonaws.com":          true,
		"mfzwi23gnjvgw.accesspoint.s3-global.amazonaws.com":                 true,
		"bucket--usw2-az1--x-s3.s3express-usw2-az1.us-west-2.amazonaws.com": true,
		"123456789012.s3-control.eu-west-1.amazonaws.com":                   true,
		"bucket.vpce-1a2b3c4d-5e6f.s3.us-east-1.vpce.amazonaws.com":         true,
		"vpce-1a2b3c4d-5e6f.execute-api.us-east-1.vpce.amazonaws.com":       true,
		"abcde12345.execute-api.eu-west-1.amazonaws.com":                    true,
		"search-name-abc.eu-west-1.es.amazonaws.com":                        true,
		"abcdefghij.eu-west-1.aoss.amazonaws.com":                           true,
		"abcdefghij.lambda-url.eu-west-1.on.aws":                            true,
		"name-0123.7d67968.vpc-lattice-svcs.us-west-2.on.aws":               true,
		"data-ats.iot.eu-west-1.amazonaws.com":                              true,
		"data.iot-fips.us-east-1.amazonaws.com":                             true,
		"data.jobs.iot.eu-west-1.amazonaws.com":                             true,
		"iot.eu-west-1.amazonaws.com":                                       true,
		"eks.eu-west-1.amazonaws.com":                                       true,
		"fips.eks.us-east-1.amazonaws.com":                                  true,
		"rds.eu-west-1.amazonaws.com":                                       true,
		"rds-fips.us-east-1.amazonaws.com":                                  true,
		"redshift.eu-west-1.amazonaws.com":                                  true,
		"redshift-serverless.eu-west-1.amazonaws.com":                       true,
		"kafka.eu-west-1.amazonaws.com":                                     true,
		"docdb-elastic.eu-west-1.amazonaws.com":                             true,
		"api.ecr.eu-west-1.amazonaws.com":                                   true,
		"ecr.eu-west-1.api.aws":                                             true,
		"us-east-1.signin.aws.amazon.com":                                   true,
		"elasticloadbalancing.eu-west-1.amazonaws.com":                      true,
		"my-lb-123.eu-west-1.elb.amazonaws.com":                             false,
		"my-nlb-123.elb.eu-west-1.amazonaws.com":                            false,
		"ec2-198-51-100-1.compute-1.amazonaws.com":                          false,
		"ec2-198-51-100-1.eu-west-1.compute.amazonaws.com":                  false,
		"ec2-52-80-0-1.cn-north-1.compute.amazonaws.com.cn":                 false,
		"0123456789ABCDEF.gr7.eu-west-1.eks.amazonaws.com":                  false,
		"0123456789abcdef.eks-cluster.eu-west-1.api.aws":                    false,
		"a1b2c3d4e5-ats.iot.eu-west-1.amazonaws.com":                        false,
		"a1b2c3d4e5.credentials.iot.eu-west-1.amazonaws.com":                false,
		"a1b2c3d4e5.iot.eu-west-1.amazonaws.com":                            false,
		"db.abc.eu-west-1.rds.amazonaws.com":                                false,
		"db.cluster-abc.eu-west-1.rds.amazonaws.com":                        false,
		"name.abc.eu-west-1.redshift.amazonaws.com":                         false,
		"wg.123456789012.eu-west-1.redshift-serverless.amazonaws.com":       false,
		"name.abc.0001.euw1.cache.amazonaws.com":                            false,
		"b-1.name.abc.c2.kafka.eu-west-1.amazonaws.com":                     false,
		"boot-abc.c1.kafka-serverless.eu-west-1.amazonaws.com":              false,
		"b-1234.mq.eu-west-1.amazonaws.com":                                 false,
		"123456789012.dkr.ecr.eu-west-1.amazonaws.com":                      false,
		"123456789012.dkr-ecr.eu-west-1.on.aws":                             false,
		"abc.dsql.us-east-1.on.aws":                                         false,
		"domain-123456789012.d.codeartifact.eu-west-1.amazonaws.com":        false,
		"vpce-1a2b-3c4d.vpce-svc-5e6f.eu-west-1.vpce.amazonaws.com":         false,
		"fs-12345678.efs.eu-west-1.amazonaws.com":                           false,
		"s-1234.server.transfer.eu-west-1.amazonaws.com":                    false,
		"amazonaws.com":               false,
		"..amazonaws.com":             false,
		"evilamazonaws.com":           false,
		"sts.amazonaws.com.evil.test": false,
		"example.com":                 false,
		"127.0.0.1":                   false,
		"":                            false,
	} {
		if got := Ends(host); got != want {
			t.Errorf("%s: %v, want %v", host, got, want)
		}
	}
}

// TestDirect holds what matters of the list: which services it is for, and their hosts.
func TestDirect(t *testing.T) {
	got := Direct("eu-west-1")
	for id, want := range map[string]string{
		"S3_CONTROL":      "https://s3-control.eu-west-1.amazonaws.com",
		"IOTSITEWISE":     "https://iotsitewise.eu-west-1.amazonaws.com",
		"SSO":             "https://portal.sso.eu-west-1.amazonaws.com",
		"SIGNIN":          "https://eu-west-1.signin.aws.amazon.com",
		"CLOUDWATCH_LOGS": "", // one operation alone has a prefix
		"S3":              "",
		"STS":             "",
		"DYNAMODB":        "",
	} {
		if got[id] != want {
			t.Errorf("%s: %q, want %q", id, got[id], want)
		}
	}
	if got := Direct("nowhere"); len(got) != 0 {
		t.Errorf("in no region: %v", got)
	}
}

func FuzzHost(f *testing.F) {
	f.Add("s3", "eu-west-1", "GET /bucket/key", "bucket.s3.amazonaws.com")
	f.Add("bedrock", "us-gov-west-1", "POST /model/x/invoke", "a.vpce-1.s3.us-east-1.vpce.amazonaws.com")
	f.Add("timestream", "aws-global", "Timestream_20181101.Query", "vpce.on.aws")
	f.Fuzz(func(t *testing.T, service, region, target, name string) {
		host, scope, err := Host(service, region, target)
		if err == nil && (!Ends(host) || scope == "") {
			t.Errorf("Host(%q, %q, %q) = %q, %q, whose TLS is not ended", service, region, target, host, scope)
		}
		if Ends(name) {
			if _, _, ok := belowDomain(name); !ok {
				t.Errorf("%q is not in AWS's domains", name)
			}
		}
		inHost(name)
	})
}
