package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/xrash/smetrics"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/writer/ini"
)

// profile is what the config and the credentials file say of one profile.
type profile struct {
	name string
	settings
	inConfig, inCredentials settings // of which file each is
}

// settings are those of a section, by lower-case key; nested are the indented ones
// below a key without a value.
type settings struct {
	values map[string]string
	nested map[string]map[string]string
}

func (s settings) get(key string) string { return s.values[key] }

// awsFiles is the text of the config and the credentials file, taken apart.
type awsFiles struct {
	paths    [2]string // of the config and the credentials file
	profiles map[string]*profile
	sessions map[string]settings // sso-session
	services map[string]settings
	unread   []string // paths of what is there, and could not be read
	notes    []string // on these
}

// sharedLimit is far above any such file, so that a wrong one is not read whole.
const sharedLimit = 16 << 20

// readShared reads both files. As in the AWS CLI, one that is not there, is no file or
// pipe, or cannot be read is empty, and what the credentials file says of a profile comes
// before what the config file says.
func readShared(env environ) (*awsFiles, error) {
	files := env.sharedFiles()
	sh := &awsFiles{
		paths: [2]string{files[0], files[1]}, profiles: map[string]*profile{},
		sessions: map[string]settings{}, services: map[string]settings{},
	}
	config, err := sh.read(sh.paths[0])
	if err != nil {
		return nil, err
	}
	credentials, err := sh.read(sh.paths[1])
	if err != nil {
		return nil, err
	}
	for _, s := range config {
		// Of two that come to one name, [default] and [profile default], say, the later counts.
		switch kind, name := s.name(); {
		case kind == "" && name == "default", kind == "profile" && name != "":
			sh.profiles[name] = &profile{name: name, inConfig: s.settings}
		case kind == "sso-session" && name != "":
			sh.sessions[name] = s.settings
		case kind == "services" && name != "":
			sh.services[name] = s.settings
		}
	}
	for _, s := range credentials {
		p := sh.profiles[s.header]
		if p == nil {
			p = &profile{name: s.header}
			sh.profiles[s.header] = p
		}
		p.inCredentials = s.settings
	}
	for _, p := range sh.profiles {
		p.settings = merge(p.inConfig, p.inCredentials)
	}
	return sh, nil
}

func merge(below, above settings) settings {
	switch {
	case above.values == nil:
		return below
	case below.values == nil:
		return above
	}
	m := settings{map[string]string{}, map[string]map[string]string{}}
	for _, s := range []settings{below, above} {
		maps.Copy(m.values, s.values)
		maps.Copy(m.nested, s.nested)
	}
	return m
}

func (sh *awsFiles) read(path string) ([]*iniSection, error) {
	text, err := sh.text(path)
	if err != nil {
		return nil, refresh.Permanentf("AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE name other files", "AWS configuration: %v", err)
	}
	if bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff")) {
		return nil, refresh.Permanentf("save it as UTF-8", "%s: is UTF-16, which no AWS SDK reads", path)
	}
	return sections(text), nil
}

// text is empty, with a note, where there is none to be had.
func (sh *awsFiles) text(path string) ([]byte, error) {
	// Not opened before that is known: to open some devices does something.
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err == nil && info.Mode()&fs.ModeNamedPipe != 0:
		return sh.pipe(path)
	case err == nil && !info.Mode().IsRegular():
		if info.Mode()&fs.ModeDevice == 0 { // /dev/null is how people say that they want none
			sh.empty(path, "it is not a regular file")
		}
		return nil, nil
	}
	file, err := os.Open(path)
	if err != nil {
		sh.empty(path, errors.Unwrap(err).Error())
		return nil, nil
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, sharedLimit))
}

// empty notes that what is at path counts as empty.
func (sh *awsFiles) empty(path, why string) {
	sh.unread = append(sh.unread, path)
	sh.notes = append(sh.notes, fmt.Sprintf("the AWS configuration in %s cannot be read, and is taken as empty: %s", path, why))
}

// pipes holds what pipes have given, by path: each gives it once.
var pipes sync.Map

// pipe reads what a shell puts in place of <(COMMAND). The AWS CLI takes such a file
// for none, the SDK for Go reads it. A pipe that nobody has open for writing is empty,
// rather than waited for.
func (sh *awsFiles) pipe(path string) ([]byte, error) {
	if text, read := pipes.Load(path); read {
		return text.([]byte), nil
	}
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		sh.empty(path, errors.Unwrap(err).Error())
		return nil, nil
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, sharedLimit))
	if err != nil {
		return nil, err
	}
	if len(text) == 0 {
		sh.empty(path, "it is a pipe, and nobody writes to it")
		return nil, nil
	}
	pipes.Store(path, text)
	return text, nil
}

// iniSection is a section of a file, header what stands between its brackets.
type iniSection struct {
	header string
	settings
}

// processKey is the setting whose text is taken as it stands, and split as a shell
// splits it later: quotes and # are its own.
const processKey = ini.CredentialProcess

// sections reads what the AWS CLI reads, and where that refuses the whole file, what the
// SDK for Go reads. Sections of one header are one.
func sections(text []byte) (all []*iniSection) {
	for _, s := range ini.Read(text).Sections {
		values, nested := s.Settings()
		all = append(all, &iniSection{s.Name, settings{values, nested}})
	}
	return all
}

// name takes the header of a section in the config file apart. `aws configure` writes names
// with blanks in quotes: [profile 'my prod'].
func (s *iniSection) name() (kind, name string) {
	i := strings.IndexAny(s.header, " \t")
	if i < 0 {
		return "", s.header
	}
	kind, name = s.header[:i], strings.TrimSpace(s.header[i:])
	if words, err := splitWords(name); err == nil && len(words) == 1 && strings.ContainsAny(name, `"'`) {
		name = words[0]
	}
	return kind, name
}

// names are those of all profiles.
func (sh *awsFiles) names() []string { return slices.Sorted(maps.Keys(sh.profiles)) }

// ProfileNames are those of the profiles in the user's files, as far as these can be read.
func ProfileNames() []string {
	sh, err := readShared(environ{processEnvironment{}})
	if err != nil {
		return nil
	}
	return sh.names()
}

// HasProfile says whether the user's files have a profile of that name.
func HasProfile(name string) bool { return environ{processEnvironment{}}.hasProfile(name) }

func (e environ) hasProfile(name string) bool {
	sh, err := readShared(e)
	return err == nil && slices.Contains(sh.names(), name)
}

// suggest is a hint for a profile that does not exist.
func (sh *awsFiles) suggest(wrong string) string {
	names := sh.names()
	if len(names) == 0 {
		return "there are no profiles: looked in " + strings.Join(sh.paths[:], " and ") + sh.unreadable()
	}
	best, distance := "", len(wrong)/2+1
	for _, n := range names {
		if d := smetrics.WagnerFischer(strings.ToLower(wrong), strings.ToLower(n), 1, 1, 1); d < distance {
			best, distance = n, d
		}
	}
	if best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return "the profiles are " + list(names) + sh.unreadable()
}

// unreadable is the end of a hint.
func (sh *awsFiles) unreadable() string {
	if len(sh.unread) == 0 {
		return ""
	}
	return " (" + strings.Join(sh.unread, " and ") + " cannot be read)"
}

// noSourceHint is for when nothing at all was found.
func (e environ) noSourceHint() string {
	hint := "pass --profile NAME or --credential-command COMMAND, or set AWS_PROFILE"
	sh, err := readShared(e)
	if err != nil {
		return hint
	}
	if names := sh.names(); len(names) > 0 {
		hint += "; the profiles are " + list(names)
	}
	return hint + sh.unreadable()
}

func list(names []string) string {
	const most = 8
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
