package doctor

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"brs-exec.example/brs-exec/refresh/doctor/clients"
	"brs-exec.example/brs-exec/writer/ini"
)

// examineEnvironment is about what brs-exec leaves as it is, and what some
// client prefers to anything delivered.
func (d *examination) examineEnvironment() {
	for _, entry := range slices.Sorted(slices.Values(os.Environ())) {
		name, value, _ := strings.Cut(entry, "=")
		switch {
		case value == "":
		case name == "AWS_BEARER_TOKEN_BEDROCK":
			d.note("environment", "unset it if it is not meant", "%s is used for Amazon Bedrock in place of credentials", name)
		case strings.HasPrefix(name, "MC_HOST_") && d.may("mc"):
			d.shadow("mc", "", "%s has keys of its own, which MinIO's mc uses", name)
		case strings.HasPrefix(name, "RCLONE_") && strings.HasSuffix(name, "ACCESS_KEY_ID") && d.may("rclone"):
			d.shadow("rclone", "unset it, and set RCLONE_S3_ENV_AUTH=true", "%s wins over what is delivered to rclone", name)
		case name == "AWS_CA_BUNDLE" && d.source != nil: // else it has been said
			if _, err := os.Stat(value); err != nil {
				d.problem("environment", "unset AWS_CA_BUNDLE, or correct it", "AWS_CA_BUNDLE: %v", err)
			}
		}
	}
	if hasKey(".env", "AWS_ACCESS_KEY_ID") {
		d.note("files", "take them out of it", ".env has AWS_ACCESS_KEY_ID: a command that loads it gets those keys, which win")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return
	}
	for _, file := range []string{filepath.Join(home, ".boto"), "/etc/boto.cfg"} {
		switch {
		case !hasKey(file, "aws_access_key_id"):
		case d.uses("boto"):
			d.problem("files", "take the keys out of it", "%s has keys, which boto 2 uses", file)
		case d.Deliver != "endpoint" && d.Deliver != "imds":
		case d.may("botocore"), d.may("awscli"):
			d.shadow("botocore", "take the keys out of it, or "+d.With("--deliver auto"), "%s has keys, which boto3 prefers to the endpoint", file)
		}
	}
	if file := filepath.Join(home, ".s3cfg"); d.uses("s3cmd") && hasKey(file, "access_key") {
		d.note("files", "", "%s has keys, which s3cmd uses", file)
	}
	d.examineRclone(home)
}

// may reports whether the command could have this client.
func (d *examination) may(id string) bool {
	return d.look == nil || d.uses(id) || len(d.look.Clients) == 0
}

// uses reports whether the command has this client.
func (d *examination) uses(id string) bool {
	return d.look != nil && slices.ContainsFunc(d.look.Clients, func(c clients.Client) bool { return c.ID == id })
}

// shadow is a problem if the command has the client, else worth a note.
func (d *examination) shadow(id, hint, format string, args ...any) {
	level := "note"
	if d.uses(id) {
		level = "problem"
	}
	d.add(level, "files", hint, format, args...)
}

// examineRclone is about remotes that have keys of their own: rclone looks for
// others only where it is told to.
func (d *examination) examineRclone(home string) {
	if !d.uses("rclone") || os.Getenv("RCLONE_S3_ENV_AUTH") == "true" {
		return
	}
	config := cmp.Or(os.Getenv("XDG_CONFIG_HOME"), filepath.Join(home, ".config"))
	file := cmp.Or(os.Getenv("RCLONE_CONFIG"), filepath.Join(config, "rclone", "rclone.conf"))
	for _, remote := range ini.Read(regular(file)).Sections {
		kind, _ := remote.Get("type")
		if auth, _ := remote.Get("env_auth"); kind == "s3" && auth != "true" {
			d.problem("files", "rclone config update "+remote.Name+" env_auth true access_key_id '' secret_access_key ''",
				"%s: remote %q has no env_auth = true, so that rclone does not look for credentials", file, remote.Name)
		}
	}
}

// hasKey tells whether a file has a line that sets key.
func hasKey(file, key string) bool {
	for line := range strings.Lines(string(regular(file))) {
		name, value, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		if strings.TrimSpace(name) == key && strings.TrimSpace(value) != "" {
			return true
		}
	}
	return false
}

// regular is what is in a regular file; nothing of another kind, which may never
// end.
func regular(file string) []byte {
	if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	text, _ := os.ReadFile(file) // one that cannot be read says nothing
	return text
}
