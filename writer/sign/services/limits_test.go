package services

import (
	"fmt"
	"strings"
	"testing"
)

func TestLimits(t *testing.T) {
	for _, test := range []struct {
		list            string
		service, region string
		want            bool
	}{
		{"s3", "s3", "eu-west-1", true},
		{"s3", "sts", "eu-west-1", false},
		{"s3@eu-west-1", "s3", "eu-west-1", true},
		{"s3@eu-west-1", "s3", "us-east-1", false},
		{"s3@eu-west-1,s3@us-east-1", "s3", "us-east-1", true},
		{"s3@eu-west-1, dynamodb", "dynamodb", "us-east-1", true},
		{"*@eu-west-1", "sts", "eu-west-1", true},
		{"*@eu-west-1", "sts", "us-east-1", false},
		{"s3@*", "s3", "us-east-1", true},
		{"*", "sts", "us-east-1", true},
		{"s3@us-east-1,s3@us-west-2", "s3", "us-east-1,us-west-2", true}, // the region set of SigV4A
		{"s3@us-east-1", "s3", "us-east-1,us-west-2", false},
		{"s3@us-east-1", "s3", "*", false},
		{"s3", "s3", "*", true},
		{"my-service", "my-service", "here", true}, // behind --sign-host
		{"IoTSecuredTunneling", "IoTSecuredTunneling", "eu-west-1", true},
	} {
		l, err := ParseLimits(test.list)
		if err != nil {
			t.Errorf("%q: %v", test.list, err)
			continue
		}
		if got := l.Allow(test.service, test.region); got != test.want {
			t.Errorf("%q allows %s in %s: %v, want %v", test.list, test.service, test.region, got, test.want)
		}
	}
	if !(Limits{}).Allow("s3", "eu-west-1") {
		t.Error("no limits do not allow S3")
	}
}

func TestParseLimitsErrors(t *testing.T) {
	longName := strings.Repeat("a", 65)
	for list, want := range map[string]string{
		"":                "has an empty entry: write SERVICE or SERVICE@REGION, separated by commas",
		"s3,":             "has an empty entry: write SERVICE or SERVICE@REGION, separated by commas",
		"s3 sts":          `"s3 sts" is not SERVICE or SERVICE@REGION, such as s3@eu-west-1; * stands for any`,
		"s3@":             `"s3@" is not SERVICE or SERVICE@REGION, such as s3@eu-west-1; * stands for any`,
		"@eu-west-1":      `"@eu-west-1" is not SERVICE or SERVICE@REGION, such as s3@eu-west-1; * stands for any`,
		"s3@eu-west-1@x":  `"s3@eu-west-1@x" is not SERVICE or SERVICE@REGION, such as s3@eu-west-1; * stands for any`,
		"s3*":             `"s3*" is not SERVICE or SERVICE@REGION, such as s3@eu-west-1; * stands for any`,
		"s3:eu-west-1":    `"s3:eu-west-1" is not SERVICE or SERVICE@REGION, such as s3@eu-west-1; * stands for any`,
		"s3control":       "requests to s3control are signed as s3: write s3",
		"s3,s3-control":   "requests to s3-control are signed as s3: write s3",
		"cloudwatch_logs": "requests to cloudwatch_logs are signed as logs: write logs",
		"bedrock-runtime": "requests to bedrock-runtime are signed as bedrock: write bedrock",
		"email":           "requests to email are signed as ses: write ses",
		"sfn":             "requests to sfn are signed as states: write states",
		"S3":              "requests to S3 are signed as s3: write s3",
		longName:          `"` + longName + `" is not SERVICE or SERVICE@REGION, such as s3@eu-west-1; * stands for any`,
		"dynamodbb":       `no service is signed as "dynamodbb": did you mean dynamodb?`,
	} {
		if _, err := ParseLimits(list); err == nil || err.Error() != want {
			t.Errorf("%q: %v\nwant %s", list, err, want)
		}
	}
}

func FuzzParseLimits(f *testing.F) {
	f.Add("s3@eu-west-1,sts", "s3", "eu-west-1")
	f.Add("*@*", "a", "")
	f.Add(strings.Repeat("here,", 2000)+"s3", "s3", "eu-west-1") // took 30 s once, and the engine allows 10
	f.Fuzz(func(t *testing.T, list, service, region string) {
		l, err := ParseLimits(list)
		if err == nil && len(l.allowed) == 0 {
			t.Errorf("%q allows all", list)
		}
		l.Allow(service, region)
	})
}

// A name that the table does not have is compared with all that it has.
func BenchmarkParseLimits(b *testing.B) {
	var list strings.Builder
	for i := range 100 {
		fmt.Fprintf(&list, "here-%d,", i)
	}
	list.WriteString("s3,there@eu-west-1")
	for b.Loop() {
		if _, err := ParseLimits(list.String()); err != nil {
			b.Fatal(err)
		}
	}
}
