package clients

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// pythonClient knows Python packages: by the name that they are installed under,
// and by the modules that are imported.
func pythonClient(name string) (id, human string, ok bool) {
	switch name {
	case "boto3", "botocore", "aiobotocore", "aioboto3", "s3fs", "awswrangler", "s3transfer":
		return "botocore", "botocore", true
	case "awscli":
		return "awscli", "AWS CLI", true
	case "boto":
		return "boto", "boto 2", true
	case "awscrt":
		return "crt", "awscrt", true
	case "pyarrow":
		return "cpp", "pyarrow (AWS SDK for C++)", true
	case "lancedb":
		return "rust", "lancedb (AWS SDK for Rust)", true
	case "deltalake", "obstore":
		return "object_store", name + " (Rust object_store)", true
	case "duckdb":
		return "duckdb", "DuckDB", true
	case "gdal", "osgeo":
		return "gdal", "GDAL", true
	case "rasterio", "fiona", "pyogrio":
		return "gdal", name + " (GDAL)", true
	case "s3cmd":
		return "s3cmd", "s3cmd", true
	case "pyspark":
		return "s3a", "pyspark (Hadoop S3A)", true
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
		if !ok {
			// A package that was copied there, without what an installer writes.
			if (name == "botocore" || name == "boto3") && e.IsDir() && len(glob(site, name+"-*-info")) == 0 {
				version = l.moduleVersion(filepath.Join(site, name, "__init__.py"))
				ok = version != ""
			}
			if !ok {
				continue
			}
		}
		id, human, known := pythonClient(name)
		if !known {
			continue
		}
		c := Client{ID: id, Name: human, Version: version, Where: filepath.Join(site, e.Name()), Named: named(id, imports)}
		switch {
		case id == "botocore" && name != "botocore", human != name && strings.HasSuffix(human, "(GDAL)"):
			c.Version = "" // the version is not that of the client
		case id == "cpp" || id == "rust" || id == "object_store" || id == "crt" || id == "s3a":
			c.Name, c.Version = strings.Replace(human, name, name+" "+version, 1), ""
		}
		if strings.HasSuffix(human, "(GDAL)") {
			for _, lib := range glob(site, name+".libs", "libgdal*.so.*") {
				c.Version = gdalVersion(filepath.Base(lib))
			}
		}
		l.found(c)
	}
}

// named tells whether a program that imports these modules names a client.
func named(id string, imports []string) bool {
	return slices.ContainsFunc(imports, func(module string) bool {
		other, _, ok := pythonClient(module)
		return ok && other == id
	})
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
	return strings.ToLower(file), "", false
}

func (l *looker) moduleVersion(file string) string {
	for line := range strings.Lines(l.text(file)) {
		if rest, ok := strings.CutPrefix(line, "__version__ = "); ok {
			return strings.Trim(strings.TrimSpace(rest), `'"`)
		}
	}
	return ""
}

// moduleText finds the source of -m MODULE.
func (l *looker) moduleText(module string, sites []string) (text, where string) {
	path := filepath.Join(strings.Split(module, ".")...)
	for _, site := range sites {
		for _, file := range []string{path + ".py", filepath.Join(path, "__main__.py")} {
			if file = filepath.Join(site, file); exists(file) {
				l.step(file)
				return l.text(file) + "\nimport " + module + "\n", file
			}
		}
	}
	l.looked("module %s, which was not found", module)
	return "import " + module + "\n", "-m " + module
}

// pythonImports are the top names of the modules that a source file imports.
func pythonImports(text string) (list []string) {
	for line := range strings.SplitSeq(strings.ReplaceAll(text, ";", "\n"), "\n") {
		words := strings.Fields(strings.ReplaceAll(line, ",", " , "))
		if len(words) < 2 || words[0] != "import" && words[0] != "from" {
			continue
		}
		next := true
		for _, w := range words[1:] {
			if w == "," {
				next = true
				continue
			}
			if next {
				top, _, _ := strings.Cut(w, ".")
				list = append(list, strings.ToLower(top))
			}
			next = false
			if words[0] == "from" {
				break
			}
		}
	}
	return list
}

// pythonTraps minds what a script does with credentials, as far as words tell.
func (l *looker) pythonTraps(text, where string) {
	l.reads(text, where)
	for line := range strings.Lines(text) {
		code, _, _ := strings.Cut(line, "#")
		compact := strings.ReplaceAll(code, " ", "")
		if strings.Contains(compact, "get_frozen_credentials(") {
			l.trap(CopiesKeys, "get_frozen_credentials()", where)
		}
		if strings.Contains(compact, "Boto3CredentialProvider(") {
			l.trap(KeepsCopy, "obstore's Boto3CredentialProvider", where)
		}
		if _, value, ok := strings.Cut(strings.TrimSpace(compact), "aws_access_key_id="); ok {
			l.passes(value, where)
		}
		for _, quote := range []string{`"`, `'`} {
			if _, rest, ok := strings.Cut(compact, "profile_name="+quote); ok {
				if name, _, ok := strings.Cut(rest, quote); ok && name != "" {
					l.trap(SelectsProfile, name, where)
				}
			}
			if strings.Contains(compact, "environ["+quote+"AWS_ACCESS_KEY_ID"+quote+"]=") {
				l.trap(SetsVariable, "AWS_ACCESS_KEY_ID", where)
			}
		}
	}
}

// passes minds an argument aws_access_key_id. A name alone may be what a caller
// has left open, as in a tool that can be given keys and need not be.
func (l *looker) passes(value, where string) {
	value, _, _ = strings.Cut(value, ",")
	value = strings.TrimRight(strings.TrimSpace(value), "):")
	if value == "" || value == "None" || value == `""` || value == "''" {
		return
	}
	name := value
	for _, settings := range []string{"self.", "args.", "opt.", "opts.", "options.", "config."} {
		name = strings.TrimPrefix(name, settings)
	}
	l.add(Trap{Kind: PassesKeys, What: "aws_access_key_id=", Where: where, Maybe: strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") == "" || strings.Contains(value, "environ.get(")})
}
