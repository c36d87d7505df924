package source

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"brs-exec.example/brs-exec/writer/ini"
)

// inJSON are the names that tools give the parts of credentials in JSON, in lower case and
// without "_": credential_process, STS, SSO, IoT; the agents of containers and
// instances (token); boto3's refreshable credentials (expiry_time); Vault, and who
// takes its names. gimme-aws-creds has those of a credentials file.
var inJSON = map[string]string{
	"accesskeyid": "AWS_ACCESS_KEY_ID", "accesskey": "AWS_ACCESS_KEY_ID", "awsaccesskeyid": "AWS_ACCESS_KEY_ID",
	"secretaccesskey": "AWS_SECRET_ACCESS_KEY", "secretkey": "AWS_SECRET_ACCESS_KEY", "awssecretaccesskey": "AWS_SECRET_ACCESS_KEY",
	"sessiontoken": "AWS_SESSION_TOKEN", "securitytoken": "AWS_SESSION_TOKEN", "token": "AWS_SESSION_TOKEN",
	"awssessiontoken": "AWS_SESSION_TOKEN", "awssecuritytoken": "AWS_SESSION_TOKEN",
	"accountid": "AWS_ACCOUNT_ID", "awsaccountid": "AWS_ACCOUNT_ID",
	"expirytime": "EXPIRATION", "expiresat": "EXPIRATION",
}

// members are those of a JSON object, by their names in lower case.
type members map[string]json.RawMessage

func parseObject(text []byte) (members, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return nil, fmt.Errorf("broken JSON (at byte %d of %d)", syntax.Offset, len(text))
		}
		return nil, errWrongType
	}
	m := members{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if value := all[name]; string(value) != "null" {
			m[strings.ToLower(name)] = value
		}
	}
	return m, nil
}

// json reads an object, or what is in it in the answers of aws sts assume-role and its
// like (Credentials), of aws sso get-role-credentials, and of Vault.
func (r *reading) json(text []byte) error {
	top, err := parseObject(text)
	if err != nil {
		return err
	}
	if v, ok := top["version"]; ok {
		var n int
		if json.Unmarshal(v, &n) != nil {
			return errWrongType
		}
		if n != 1 {
			return errVersion
		}
	}
	set := top
	for _, name := range []string{"credentials", "rolecredentials", "data"} {
		if inner, ok := top[name]; ok {
			if set, err = parseObject(inner); err != nil {
				return err
			}
			break
		}
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if err := r.member(name, set[name]); err != nil {
			return err
		}
	}
	var user struct{ Arn string }
	if json.Unmarshal(top["assumedroleuser"], &user) == nil {
		r.arn = user.Arn
		r.creds.AccountID = cmp.Or(r.creds.AccountID, account(user.Arn))
	}
	if r.creds.CanExpire {
		return nil
	}
	// Vault's lease, which some of its versions leave at 0 beside a ttl:
	// developer.hashicorp.com/vault/api-docs/secret/aws
	if leased, err := r.lasts(top["lease_duration"]); leased || err != nil {
		return err
	}
	_, err = r.lasts(set["ttl"])
	return err
}

// member takes a member of the object that holds the credentials.
func (r *reading) member(name string, value json.RawMessage) error {
	plain := strings.ReplaceAll(name, "_", "")
	if into, ok := inJSON[plain]; ok {
		name = into
	}
	expiry := slices.Contains(ini.Expiries, strings.ToLower(name))
	if _, known := inJSON[plain]; !known && !expiry {
		return nil
	}
	var text string
	switch {
	case json.Unmarshal(value, &text) == nil:
	case expiry: // a number, or nonsense
		text = string(value)
	default:
		return errWrongType
	}
	return r.take(name, text)
}

// lasts takes the remaining lifetime in seconds, and says whether there is any.
func (r *reading) lasts(value json.RawMessage) (bool, error) {
	var seconds float64
	switch {
	case value == nil:
		return false, nil
	case json.Unmarshal(value, &seconds) != nil, seconds < 0, seconds >= maxSeconds:
		return false, errTime
	case seconds == 0:
		return false, nil
	}
	r.until(r.now.Add(time.Duration(seconds * float64(time.Second))))
	return true, nil
}
