package clients

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
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
