package clients

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// pythonClient knows Python packages: by the name that they are installed under,
// and by the modules that are imported. own is set if the version of the package
// is that of the client.
func pythonClient(name string) (id, human string, own bool) {
	switch name {
	case "boto3", "aiobotocore", "aioboto3", "s3fs", "awswrangler", "s3transfer":
		return "botocore", "botocore", false
	case "botocore", "awscli", "s3cmd":
		return name, strings.Replace(name, "awscli", "AWS CLI", 1), true
	case "boto":
		return "boto", "boto 2", true
	case "duckdb":
		return "duckdb", "DuckDB", true
	case "gdal", "osgeo":
		return "gdal", "GDAL", true
	case "rasterio", "fiona", "pyogrio":
		return "gdal", name + " (GDAL)", false
	case "awscrt":
		return "crt", "awscrt", false
	case "pyarrow":
		return "cpp", "pyarrow (AWS SDK for C++)", false
	case "lancedb":
		return "rust", "lancedb (AWS SDK for Rust)", false
	case "deltalake", "obstore":
		return "object_store", name + " (Rust object_store)", false
	case "pyspark":
		return "s3a", "pyspark (Hadoop S3A)", false
	}
	return "", "", false
}

// pythonSite finds the clients that are installed in one directory.
func (l *looker) pythonSite(site string, imports []string) {
	entries, err := os.ReadDir(site)
	if err != nil {
		return
	}
	for _, e := range entries {
		name, version, ok := distribution(e.Name())
		id, human, own := pythonClient(name)
		if !ok || id == "" {
			continue
		}
		c := Client{ID: id, Name: human, Version: version, Where: filepath.Join(site, e.Name())}
		c.Named = slices.ContainsFunc(imports, func(module string) bool {
			imported, _, _ := pythonClient(module)
			return imported == id
		})
		if !own {
			c.Version = ""
			if id != "gdal" {
				c.Name = strings.Replace(human, name, name+" "+version, 1)
			}
		}
		for _, lib := range glob(site, name+".libs", "libgdal*.so.*") {
			c.Version = gdalVersion(filepath.Base(lib))
		}
		l.found(c)
	}
}

// distribution splits the name of what an installer leaves beside a package:
// boto3-1.44.8.dist-info, GDAL-3.6.2.egg-info.
func distribution(file string) (name, version string, ok bool) {
	for _, suffix := range []string{".dist-info", ".egg-info", ".egg"} {
		if rest, is := strings.CutSuffix(file, suffix); is {
			name, version, _ = strings.Cut(rest, "-")
			version, _, _ = strings.Cut(version, "-") // -py3.11
			return strings.ToLower(name), version, true
		}
	}
	return "", "", false
}

// module finds the source of -m MODULE.
func (l *looker) module(module string, sites []string) (source, where string) {
	path := filepath.Join(strings.Split(module, ".")...)
	for _, site := range sites {
		for _, file := range []string{path + ".py", filepath.Join(path, "__main__.py")} {
			if file = filepath.Join(site, file); exists(file) {
				l.step(file)
				return text(file) + "\nimport " + module + "\n", file
			}
		}
	}
	l.looked("module %s, which was not found", module)
	return "import " + module + "\n", "-m " + module
}

// pythonImports are the top names of the modules that a source file imports.
func pythonImports(source string) (list []string) {
	for line := range strings.SplitSeq(strings.ReplaceAll(source, ";", "\n"), "\n") {
		verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch verb {
		case "from":
			rest, _, _ = strings.Cut(rest, " import")
		case "import":
		default:
			continue
		}
		for name := range strings.SplitSeq(rest, ",") {
			if words := strings.FieldsFunc(name, func(r rune) bool { return r == ' ' || r == '.' || r == '\r' }); len(words) > 0 {
				list = append(list, strings.ToLower(words[0]))
			}
		}
	}
	return list
}

// pythonTraps minds what a script does with credentials, as far as words tell.
func (l *looker) pythonTraps(source, where string) {
	l.reads(source, where)
	for line := range strings.Lines(source) {
		code, _, _ := strings.Cut(line, "#")
		code = strings.NewReplacer(" ", "", "'", `"`).Replace(strings.TrimSpace(code))
		if strings.Contains(code, "get_frozen_credentials(") {
			l.trap(CopiesKeys, "get_frozen_credentials()", where)
		}
		if strings.Contains(code, "Boto3CredentialProvider(") {
			l.trap(KeepsCopy, "obstore's Boto3CredentialProvider", where)
		}
		if _, value, ok := strings.Cut(code, "aws_access_key_id="); ok {
			l.passes(value, where)
		}
		if _, rest, ok := strings.Cut(code, `profile_name="`); ok {
			if name, _, ok := strings.Cut(rest, `"`); ok && name != "" {
				l.trap(SelectsProfile, name, where)
			}
		}
		if strings.Contains(code, `environ["AWS_ACCESS_KEY_ID"]=`) {
			l.trap(SetsVariable, "AWS_ACCESS_KEY_ID", where)
		}
	}
}

// passes minds an argument aws_access_key_id. A name alone may be what a caller
// has left open, as in a tool that can be given keys and need not be.
func (l *looker) passes(value, where string) {
	value, _, _ = strings.Cut(value, ",")
	value = strings.TrimRight(value, "):")
	if value == "" || value == "None" || value == `""` {
		return
	}
	name := strings.TrimLeft(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789")
	_, settings, _ := strings.Cut(value, ".")
	settled := slices.Contains([]string{"self." + settings, "args." + settings, "opt." + settings, "opts." + settings, "options." + settings, "config." + settings}, value)
	l.add(Trap{Kind: PassesKeys, What: "aws_access_key_id=", Where: where, Maybe: name == "" || settled || strings.Contains(value, "environ.get(")})
}

// readsKeys is how programs get at a variable.
var readsKeys = sync.OnceValue(func() *regexp.Regexp {
	const name = `AWS_ACCESS_KEY_ID`
	return regexp.MustCompile(`(?:environ|ENV)(?:\.get|\.fetch)?\s*[\[(]\s*["']` + name + `["'][^\n=]{0,3}(?:=[^=])?|` +
		`getenv\(\s*["']` + name + `["']|process\.env(?:\.|\[["'])` + name + `\b["'\]]*\s*(?:=[^=])?`)
})

// reads minds a program that looks for credentials itself. Which it does if it finds
// none, is not known if it asks in a way that does without.
func (l *looker) reads(source, where string) {
	if strings.Contains(source, "brs-static") { // the program knows where to look
		return
	}
	asked := strings.Contains(source, `AWS_ACCESS_KEY_ID" in `) || strings.Contains(source, "AWS_ACCESS_KEY_ID' in ")
	for line := range strings.Lines(source) {
		code, _, _ := strings.Cut(line, "#")
		for _, found := range readsKeys().FindAllString(code, -1) {
			if strings.Contains(strings.TrimSuffix(found, "=="), "=") {
				continue // sets it
			}
			must := !asked && (strings.HasPrefix(found, "environ[") || strings.HasPrefix(found, "ENV.fetch("))
			l.add(Trap{Kind: ReadsVariable, What: "AWS_ACCESS_KEY_ID", Where: where, Maybe: !must})
		}
		for _, name := range []string{"AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"} {
			if strings.Contains(code, name) && !strings.Contains(code, name+"=") {
				l.add(Trap{Kind: ReadsFile, What: name, Where: where, Maybe: true})
			}
		}
	}
}
