package writertest

import (
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Numbered returns the i-th set of credentials. All its parts say which one it
// is.
func Numbered(i int) aws.Credentials {
	return aws.Credentials{
		AccessKeyID: fmt.Sprintf("AKID%d", i), SecretAccessKey: fmt.Sprintf("SECRET%d", i), SessionToken: fmt.Sprintf("TOKEN%d", i),
		CanExpire: true, Expires: time.Now().Add(time.Hour),
	}
}

// Number returns which of the sets of Numbered this is, false if the parts are
// not all of one.
func Number(parts [3]string) (n int, ok bool) {
	if _, err := fmt.Sscanf(parts[0], "AKID%d", &n); err != nil {
		return 0, false
	}
	want := Numbered(n)
	return n, parts == [3]string{want.AccessKeyID, want.SecretAccessKey, want.SessionToken}
}

// UserConfig and UserCredentials are files as a user has them.
const UserConfig = `# my config
[default] # home
region = us-east-1
output = json
role_arn = arn:aws:iam::1:role/x
source_profile = base
s3 =
  addressing_style = path
services = local

[profile prod]
SSO_Session = corp
sso_account_id: 123
sso_role_name = Admin
retry_mode = adaptive

[profile child]
role_arn = arn:aws:iam::2:role/y
source_profile = prod

[sso-session corp]
sso_region = eu-west-1
sso_start_url = https://corp.example

[services local]
sts =
  endpoint_url = http://127.0.0.1:1
`

const UserCredentials = `[default]
aws_access_key_id = AKIDUSER
aws_secret_access_key = USERSECRET

[other]
aws_access_key_id=AKIDOTHER
aws_secret_access_key=OTHERSECRET
[brs-static]
aws_access_key_id = MINE
`

// UserFiles are files as users have them. Real AWS parsers must see in our
// copies what they see in these, but for our own profiles.
var UserFiles = []struct{ Name, Config, Credentials string }{
	{"plain", UserConfig, UserCredentials},
	{"none", "", ""},
	{"CRLF", strings.ReplaceAll(UserConfig, "\n", "\r\n"), strings.ReplaceAll(UserCredentials, "\n", "\r\n")},
	{"no final newline", strings.TrimSuffix(UserConfig, "\n"), strings.TrimSuffix(UserCredentials, "\n")},
	{"no final newline after a header", "[profile prod]\noutput = text\n[profile other]", "[other]"},
	{"indented", strings.NewReplacer("\nregion", "\n  region", "\noutput", "\n  output", "\nrole", "\n  role", "\nsource", "\n  source", "\ns3 =\n  addr", "\n  s3 =\n    addr").Replace("[default]\nregion = x\noutput = json\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = a\ns3 =\n  addressing_style = path\n[profile a]\nregion = y\n"), "[default]\n\taws_access_key_id = A\n\taws_secret_access_key = B\n[a]\n  aws_access_key_id = A\n  aws_secret_access_key = B\n"},
	{"cases and colons", "[default]\nREGION: x\nRole_Arn: arn:aws:iam::1:role/x\nSource_Profile = other\nOutput : text\n[profile other]\nRegion:y\n", "[other]\nAWS_ACCESS_KEY_ID: A\nAWS_Secret_Access_Key: B\n"},
	{"comments", "; top\n[default] ; home\n# region = z\nregion = x # here\noutput = text ; there\n  # indented\n[profile prod] # work\nrole_arn = arn # of mine\noutput = a#b\n", "[prod] ; x\naws_access_key_id = A\naws_secret_access_key = B#;C\n"},
	{"spellings", "[profile   prod]\noutput = a\n[profile \"with quotes\"]\noutput = b\n[profile\ttab]\noutput = c\n[nonprofile]\nx = 1\n[prod]\noutput = d\n", "[with quotes]\naws_access_key_id = A\naws_secret_access_key = B\n"},
	{"spellings that not all understand", "[profile default]\noutput = a\ns3 =\n  addressing_style = path\n[profile 'prod']\n  output = b\n  retry_mode = standard", ""},
	{"empty values", "[default]\nregion =\noutput =\nca_bundle =\n[profile prod]\nsso_session =\ncredential_process =\noutput = x\n", "[default]\naws_session_token =\nk = v\n"},
	{"nested", "[default]\ns3 =\n  max_concurrent_requests = 20\n  role_arn = not a key\napi_versions =\n    ec2 = 2015-03-01\n    cloudfront = 2015-09-17\nrole_arn = x\nregion = y\n[plugins]\ncli_legacy = x\n", ""},
	{"services", "[profile prod]\nservices = s\nsso_session = c\n[services s]\ndynamodb =\n  endpoint_url = http://127.0.0.1:1\ns3 =\n  endpoint_url = http://127.0.0.1:2\n[sso-session c]\nsso_region = r\nsso_start_url = u\nsso_registration_scopes = a\n[preview]\ncloudfront = true\n", ""},
}

// DiffersInGo tells files whose lines mean something to Python and something
// else to Go; the edit then follows either.
func DiffersInGo(data string) bool {
	if strings.ContainsAny(data, `'"`) { // aws-sdk-go-v2 config 1.33.18 panics on a value that is one quote
		return true
	}
	for _, line := range strings.Split(data, "\n") {
		s := strings.Trim(line, " \t\r")
		if strings.HasPrefix(s, "[") {
			// Go: no header if "#" or ";" is in the brackets, or anything else after.
			cut, _, _ := strings.Cut(s, "#")
			cut, _, _ = strings.Cut(cut, ";")
			if cut = strings.TrimSpace(cut); strings.IndexByte(cut, ']') != len(cut)-1 {
				return true
			}
		}
		if key, _, _ := strings.Cut(s, "="); strings.ContainsAny(key, "#;") && s[0] != '#' && s[0] != ';' {
			return true
		}
		if strings.ContainsAny(line, "\ufeff\v\f\u0085\u00a0") || strings.Contains(strings.TrimSuffix(line, "\r"), "\r") {
			return true
		}
	}
	return false
}

// FindBotocore returns a Python that has botocore, or why there is none.
func FindBotocore() (python, why string) {
	python, err := exec.LookPath("python3")
	if err != nil {
		return "", "no python3"
	}
	if err := exec.Command(python, "-c", "import botocore.configloader").Run(); err != nil {
		return "", "no botocore for python3"
	}
	return python, ""
}
