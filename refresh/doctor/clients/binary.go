package clients

import (
	"debug/buildinfo"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"path"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
)

// binary looks at a program that is no script: its name, the Go modules in it,
// the libraries that it is linked to.
func (l *looker) binary(file string, argv []string) {
	l.profileFlag(argv)
	l.arguments(argv)
	real := resolved(file)
	tool, whole, known := toolOf(file)
	if !known {
		tool, whole, known = toolOf(real)
	}
	if tool.ID == "curl" && !slices.Contains(argv, "--aws-sigv4") {
		l.looked("curl without --aws-sigv4, which signs nothing for AWS")
		return
	}
	if info, err := buildinfo.ReadFile(real); err == nil {
		l.goModules(info, real)
		if known && (tool.ID == "terraform" || len(l.r.Clients) == 0) {
			l.r.Clients = nil // Terraform's clients are in its providers
			l.found(tool)
		}
		return
	}
	if known && whole {
		l.found(tool)
		return
	}
	l.r.Runtime = "native code"
	if tool.ID == "awscli" { // version 2 brings its own Python
		tool.Name, tool.Where = "AWS CLI 2", real
		l.found(tool)
		return
	}
	linked := libraries(real)
	for _, lib := range linked {
		if c, ok := clientOfLibrary(lib); ok {
			c.Where, c.Named = real+" is linked to "+lib, true
			l.found(c)
		}
	}
	if len(linked) > 0 {
		l.looked("%s: the libraries that it is linked to", real)
	}
	if known && len(l.r.Clients) == 0 {
		l.found(tool)
	}
}

// toolOf knows tools by their names; whole is set if there is no more to find
// out by looking into the file.
func toolOf(path string) (c Client, whole, ok bool) {
	name := strings.TrimSuffix(filepath.Base(path), ".exe")
	c = Client{ID: name, Name: name, Where: path, Named: true}
	switch name {
	case "spark-submit", "spark-shell", "spark-sql", "pyspark", "hadoop", "hdfs", "beeline", "distcp":
		c.ID, c.Name, whole = "s3a", name+" (Hadoop S3A)", true
	case "s3fs":
		c.ID, whole = "s3fs-fuse", true
	case "terraform", "tofu":
		c.ID, whole = "terraform", true
	case "nextflow", "curl", "duckdb", "fluent-bit", "envoy":
		whole = true
	case "s3cmd", "rclone", "s5cmd":
	case "restic":
		c.ID = "minio-go"
	case "mcli": // mc is the Midnight Commander as well; MinIO's tells by its modules
		c.ID = "mc"
	case "mount-s3":
		c.ID = "crt"
	case "aws":
		c.ID, c.Name = "awscli", "AWS CLI"
	case "gdalinfo", "gdal_translate", "gdalwarp", "ogrinfo", "ogr2ogr", "gdalbuildvrt", "gdaladdo", "gdal":
		c.ID, c.Name = "gdal", "GDAL"
	default:
		return Client{}, false, false
	}
	return c, whole, true
}

// goModules reads the list of modules that a Go program carries.
func (l *looker) goModules(info *debug.BuildInfo, file string) {
	l.r.Runtime = "Go"
	l.looked("%s: the Go modules that it was built of", file)
	plain := func(v string) string { // "" of a working copy
		return strings.TrimPrefix(strings.Replace(v, "(devel)", "", 1), "v")
	}
	versions := map[string]string{info.Main.Path: plain(info.Main.Version)}
	for _, m := range info.Deps {
		versions[m.Path] = plain(m.Version)
		if m.Replace != nil && plain(m.Replace.Version) != "" { // a fork, not a directory
			versions[m.Path] = plain(m.Replace.Version)
		}
	}
	for _, c := range []struct{ id, name, module string }{
		{"rclone", "rclone", "github.com/rclone/rclone"}, // these two set up their clients themselves
		{"mc", "mc", "github.com/minio/mc"},
		{"go1", "aws-sdk-go", "github.com/aws/aws-sdk-go"},
		{"go2", "aws-sdk-go-v2", "github.com/aws/aws-sdk-go-v2/config"},
		{"go2-core", "aws-sdk-go-v2 core", "github.com/aws/aws-sdk-go-v2"},
		{"minio-go", "minio-go", "github.com/minio/minio-go/v7"},
		{"minio-go-old", "minio-go", "github.com/minio/minio-go/v6"},
		{"minio-go-old", "minio-go", "github.com/minio/minio-go"},
	} {
		version, ok := versions[c.module]
		if _, config := versions["github.com/aws/aws-sdk-go-v2/config"]; !ok || config && c.id == "go2-core" {
			continue
		}
		l.found(Client{ID: c.id, Name: c.name, Version: version, Where: file + ": module " + c.module, Named: true})
		if c.id == "rclone" || c.id == "mc" {
			return
		}
	}
}

// libraries are the shared libraries that a binary names; none if it is linked
// statically.
func libraries(file string) []string {
	var binary interface {
		ImportedLibraries() ([]string, error)
		Close() error
	}
	if f, err := elf.Open(file); err == nil {
		binary = f
	} else if f, err := macho.Open(file); err == nil {
		binary = f
	} else if f, err := pe.Open(file); err == nil {
		binary = f
	} else {
		return nil
	}
	defer binary.Close()
	list, _ := binary.ImportedLibraries()
	return list
}

// clientOfLibrary knows shared libraries by their names.
func clientOfLibrary(lib string) (Client, bool) {
	name := path.Base(filepath.ToSlash(lib))
	for _, c := range []struct{ prefix, id, human string }{
		{"libaws-cpp-sdk-core", "cpp", "AWS SDK for C++"},
		{"libaws-c-auth", "crt", "AWS common runtime"},
		{"libaws-crt", "crt", "AWS common runtime"},
		{"libgdal", "gdal", "GDAL"},
		{"libarrow", "cpp", "Apache Arrow (AWS SDK for C++)"},
		{"libduckdb", "duckdb", "DuckDB"},
	} {
		if strings.HasPrefix(name, c.prefix) {
			return Client{ID: c.id, Name: c.human, Version: gdalVersion(name)}, true
		}
	}
	return Client{}, false
}

// gdalVersion is GDAL's version by the number of its library, which has gone up
// by one with each since 3.6 was 32: libgdal.so.32, libgdal.so.35.3.9.1.
func gdalVersion(name string) string {
	_, rest, ok := strings.Cut(name, ".so.")
	number, _, _ := strings.Cut(rest, ".")
	n, err := strconv.Atoi(number)
	if !ok || !strings.HasPrefix(name, "libgdal") || err != nil || n < 26 {
		return ""
	}
	return "3." + strconv.Itoa(n-26)
}

// profileFlag finds --profile NAME of a tool's own.
func (l *looker) profileFlag(argv []string) {
	for i, word := range argv {
		name, ok := strings.CutPrefix(word, "--profile=")
		if word == "--profile" && i+1 < len(argv) {
			name, ok = argv[i+1], true
		}
		if ok {
			l.trap(SelectsProfile, name, filepath.Base(argv[0])+" --profile")
		}
	}
}

// arguments finds keys on a command line. The word is told up to its value.
func (l *looker) arguments(argv []string) {
	for _, word := range argv[min(1, len(argv)):] {
		name, _, ok := strings.Cut(word, "=")
		for _, key := range []string{"fs.s3a.access.key", "fs.s3a.secret.key", "fs.s3a.aws.credentials.provider", "access_key_id", "aws_access_key_id", "--s3-access-key-id", "--access_key", "--access-key"} {
			if ok && (name == key || strings.HasSuffix(name, "."+key)) || word == key && strings.HasPrefix(key, "--") {
				l.trap(PassesKeys, name, "its arguments")
			}
		}
	}
}
