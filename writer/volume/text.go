package volume

import (
	"fmt"
	"slices"
	"strings"

	"brs-exec.example/brs-exec/writer/ini"
)

// mark is how each of our files of settings begins: one that does not is the user's.
const mark = "# brs-exec keeps this file"

// ours tells whether the content of a file of one of our names is ours.
func ours(name, text string) bool {
	switch {
	case name == tokenFile:
		return text != "" && strings.Trim(text, "0123456789abcdef") == ""
	case isAnswer(name):
		return strings.HasPrefix(text, `{"Version":1,"AccessKeyId":`)
	}
	return strings.HasPrefix(text, mark)
}

// answerFile holds what the credential_process of a profile prints. What is not plain in
// the name is written by its number: SDKs differ in how they split a command line.
func answerFile(profile string) string {
	var b strings.Builder
	for _, c := range []byte(profile) {
		if plain(string(c)) && c != '/' && c != '_' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "_%02x", c)
		}
	}
	return "profile-" + b.String() + ".json"
}

func isAnswer(name string) bool {
	return strings.HasPrefix(name, "profile-") && strings.HasSuffix(name, ".json")
}

// answers tells whether there is a file for a credential_process: for the profiles of a
// list also where the default one is had from the endpoint, which has but one for all
// SDKs to know.
func (d *Dir) answers() bool { return d.opt.Mode == Process || d.opt.Mode == Auto && d.opt.List }

// standard is the index of the profile that is also [default].
func (d *Dir) standard() int {
	return max(0, slices.IndexFunc(d.profiles, func(p Profile) bool { return p.Name == "default" }))
}

// names are those that readers find a profile under, [default] last.
func (d *Dir) names(i int) []string {
	names := append([]string{d.profiles[i].Name}, d.profiles[i].As...)
	if i == d.standard() {
		names = append(names, "default")
	}
	slices.Sort(names[1:])
	return slices.Compact(slices.DeleteFunc(names, func(name string) bool {
		return name == "default" && i != d.standard()
	}))
}

func (d *Dir) configText() string {
	f := ini.Read(nil)
	for i, p := range d.profiles {
		for _, name := range d.names(i) {
			var pairs [][2]string
			if d.answers() && (d.opt.Mode == Process || name != "default") {
				pairs = append(pairs, [2]string{"credential_process", "cat " + d.seen(answerFile(p.Name))})
			}
			if p.Region != "" {
				pairs = append(pairs, [2]string{"region", p.Region})
			}
			for _, header := range ini.ConfigHeaders(name) {
				f.Add(header, pairs...)
			}
		}
	}
	return mark + ", and leaves what you change until it starts again\n" + string(f.Bytes())
}

func (d *Dir) credentialsText() string {
	f := ini.Read(nil)
	for i, p := range d.profiles {
		set, ok := d.sets[p.Name]
		if !ok {
			continue
		}
		for _, name := range d.names(i) {
			f.Add(name, ini.Pairs(set.AccessKeyID, set.SecretAccessKey, set.SessionToken)...)
		}
	}
	return mark + " fresh\n" + string(f.Bytes())
}

// variablesText is what sh, systemd and docker read alike: no quotes, no blanks, nothing
// that any of them would expand.
func (d *Dir) variablesText() string {
	config, credentials := d.seen(configFile), d.seen(configFile)
	if d.opt.Mode == File {
		credentials = d.seen(credentialsFile)
	}
	lines := []string{mark + ": set these variables for the program that is to have the credentials"}
	if d.opt.Mode != Endpoint {
		lines = append(lines, "AWS_CONFIG_FILE="+config)
		// A credentials file of the reader's own would hide what the variables lead to.
		lines = append(lines, "AWS_SHARED_CREDENTIALS_FILE="+credentials, "AWS_SDK_LOAD_CONFIG=1")
	}
	if d.opt.Mode == File {
		lines = append(lines, "AWS_CREDENTIAL_PROFILES_FILE="+credentials, "CPL_AWS_CREDENTIALS_FILE="+credentials)
	}
	lines = append(lines, d.lead...)
	if !d.opt.KeepIMDS {
		lines = append(lines, "AWS_EC2_METADATA_DISABLED=true")
	}
	if len(d.profiles) > 0 {
		if region := d.profiles[d.standard()].Region; region != "" && plain(region) {
			lines = append(lines, "AWS_REGION="+region, "AWS_DEFAULT_REGION="+region)
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

// plain tells whether text stands for itself wherever it is read.
func plain(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool {
		return !('A' <= r && r <= 'Z' || 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || strings.ContainsRune("_./-", r))
	})
}
