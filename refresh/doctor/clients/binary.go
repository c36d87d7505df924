package clients

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"io"
	"path"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
)

// binary looks into a program that is no script.
func (l *looker) binary(file string, argv []string) {
	l.profileFlag(argv)
	l.confFlags(argv)
	real := file
	if r, err := filepath.EvalSymlinks(file); err == nil {
		real = r
	}
	tool, whole, known := toolOf(file)
	if !known {
		tool, whole, known = toolOf(real)
	}
	if tool.ID == "curl" && !slices.Contains(argv, "--aws-sigv4") {
		l.looked("curl without --aws-sigv4, which signs nothing for AWS")
		return
	}
	if info, err := buildinfo.ReadFile(real); err == nil {
		l.goBinary(info, real)
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
		l.cli2(real)
		return
	}
	linked := libraries(real)
	for _, lib := range linked {
		if c, ok := clientOfLibrary(lib); ok {
			c.Where = real + " is linked to " + lib
			l.found(c)
		}
	}
	if len(linked) > 0 {
		l.looked("%s: the libraries that it is linked to", real)
	}
	if len(l.r.Clients) == 0 {
		l.scan(real)
	}
	if known && len(l.r.Clients) == 0 {
		l.found(tool)
	}
}

// goBinary reads the list of modules that a Go program carries.
func (l *looker) goBinary(info *debug.BuildInfo, file string) {
	l.r.Runtime = "Go"
	l.looked("%s: the Go modules that it was built of", file)
	version := map[string]string{info.Main.Path: info.Main.Version}
	for _, m := range info.Deps {
		if m.Replace != nil && plainVersion(m.Replace.Version) != "" { // a fork, not a directory
			m = &debug.Module{Path: m.Path, Version: m.Replace.Version}
		}
		version[m.Path] = m.Version
	}
	mod := func(id, name, module string) bool {
		v, ok := version[module]
		if ok {
			l.found(Client{ID: id, Name: name, Version: plainVersion(v), Where: file + ": module " + module, Named: true})
		}
		return ok
	}
	switch {
	case mod("rclone", "rclone", "github.com/rclone/rclone"):
		return
	case strings.HasPrefix(info.Main.Path, "github.com/minio/mc"):
		l.found(Client{ID: "mc", Name: "mc", Version: plainVersion(info.Main.Version), Where: file, Named: true})
		return
	}
	mod("go1", "aws-sdk-go", "github.com/aws/aws-sdk-go")
	if !mod("go2", "aws-sdk-go-v2", "github.com/aws/aws-sdk-go-v2/config") {
		mod("go2-core", "aws-sdk-go-v2 core", "github.com/aws/aws-sdk-go-v2")
	}
	mod("minio-go", "minio-go", "github.com/minio/minio-go/v7")
	mod("minio-go-old", "minio-go", "github.com/minio/minio-go/v6")
	mod("minio-go-old", "minio-go", "github.com/minio/minio-go")
}

// plainVersion is a module's version without the v; "" for one that was built
// from a working copy.
func plainVersion(v string) string {
	if v == "(devel)" {
		return ""
	}
	return strings.TrimPrefix(v, "v")
}

// cli2 finds the version of an AWS CLI 2 by the directory it is installed in, as
// its installer names it: …/v2/2.9.19/dist/aws.
func (l *looker) cli2(real string) {
	c := Client{ID: "awscli", Name: "AWS CLI", Where: real, Named: true}
	for dir := filepath.Dir(real); dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if v := filepath.Base(dir); len(numbers(v)) > 1 {
			c.Version = v
			break
		}
	}
	l.found(c)
}

// libraries are the shared libraries that a binary names.
func libraries(file string) []string {
	if f, err := elf.Open(file); err == nil {
		defer f.Close()
		list, _ := f.ImportedLibraries() // none in what is linked statically
		return list
	}
	if f, err := macho.Open(file); err == nil {
		defer f.Close()
		list, _ := f.ImportedLibraries()
		return list
	}
	if f, err := pe.Open(file); err == nil {
		defer f.Close()
		list, _ := f.ImportedLibraries()
		return list
	}
	return nil
}

// clientOfLibrary knows shared libraries by their names.
func clientOfLibrary(lib string) (Client, bool) {
	name := path.Base(filepath.ToSlash(lib))
	switch {
	case strings.HasPrefix(name, "libaws-cpp-sdk-core"):
		return Client{ID: "cpp", Name: "AWS SDK for C++", Named: true}, true
	case strings.HasPrefix(name, "libaws-c-auth"), strings.HasPrefix(name, "libaws-crt"):
		return Client{ID: "crt", Name: "AWS common runtime", Named: true}, true
	case strings.HasPrefix(name, "libgdal"):
		return Client{ID: "gdal", Name: "GDAL", Version: gdalVersion(name), Named: true}, true
	case strings.HasPrefix(name, "libarrow"):
		return Client{ID: "cpp", Name: "Apache Arrow (AWS SDK for C++)", Named: true}, true
	case strings.HasPrefix(name, "libduckdb"):
		return Client{ID: "duckdb", Name: "DuckDB", Named: true}, true
	}
	return Client{}, false
}

// gdalVersion is GDAL's version by the number of its library, which has gone up
// by one with each since 3.6 was 32: libgdal.so.32, libgdal.so.35.3.9.1.
func gdalVersion(name string) string {
	_, rest, ok := strings.Cut(name, ".so.")
	if !ok {
		return ""
	}
	number, _, _ := strings.Cut(rest, ".")
	n, err := strconv.Atoi(number)
	if err != nil || n < 26 {
		return ""
	}
	return "3." + strconv.Itoa(n-26)
}

// marks are texts that clients leave in the binaries that they are linked into.
// Each of them is in the client's own code, not in what calls it.
func marks() []struct{ text, id, name string } {
	return []struct{ text, id, name string }{
		{"aws-sdk-rust/", "rust", "AWS SDK for Rust"},
		{"aws_config::", "rust", "AWS SDK for Rust"},
		{"/aws-config-", "rust", "AWS SDK for Rust"},
		{"object_store::aws", "object_store", "Rust object_store"},
		{"/object_store-", "object_store", "Rust object_store"},
		{"aws-sdk-cpp/", "cpp", "AWS SDK for C++"},
		{"aws-c-auth", "crt", "AWS common runtime"},
		{"CRTAWSCredentialsProvider", "crt", "AWS common runtime"},
		{"@aws-sdk/credential-provider-node", "js3", "AWS SDK for JavaScript v3"},
		{"aws-sdk-nodejs/", "js2", "AWS SDK for JavaScript v2"},
		{"CPL_AWS_CREDENTIALS_FILE", "gdal", "GDAL"},
	}
}

// names are what any client has to know that uses a channel. They tell what a
// client knows whose name is not known here.
func names() []string {
	return []string{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "credential_process", "AWS_SHARED_CREDENTIALS_FILE", "AWS_ACCESS_KEY_ID"}
}

// scan looks for marks in the bytes of a file.
func (l *looker) scan(file string) {
	var texts []string
	for _, m := range marks() {
		texts = append(texts, m.text)
	}
	count := len(texts)
	hit := contains(file, append(texts, names()...))
	if hit == nil {
		return
	}
	l.looked("%s: the texts in it", file)
	for i, m := range marks() {
		if hit[i] {
			l.found(Client{ID: m.id, Name: m.name, Where: file + " has " + strconv.Quote(m.text), Named: true})
		}
	}
	if len(l.r.Clients) > 0 {
		return
	}
	for i, name := range names() {
		if hit[count+i] {
			l.found(Client{ID: "some:" + name, Name: "a client that knows " + name, Where: file, Named: true})
		}
	}
}

// contains tells which of the texts are in a file; nil if it cannot be read.
func contains(file string, texts []string) []bool {
	f, err := open(file)
	if err != nil {
		return nil
	}
	defer f.Close()
	const chunk, overlap = 1 << 20, 64 // no text is longer than that
	hit := make([]bool, len(texts))
	buf := make([]byte, 0, chunk+overlap)
	r := io.LimitReader(f, scanLimit)
	for {
		n, err := io.ReadFull(r, buf[len(buf):len(buf)+chunk])
		buf = buf[:len(buf)+n]
		for i, text := range texts {
			hit[i] = hit[i] || bytes.Contains(buf, []byte(text))
		}
		if err != nil {
			return hit
		}
		copy(buf, buf[len(buf)-overlap:])
		buf = buf[:overlap]
	}
}

// confFlags minds keys on a command line. The word is told up to its value.
func (l *looker) confFlags(argv []string) {
	for _, word := range argv[min(1, len(argv)):] {
		name, _, ok := strings.Cut(word, "=")
		for _, key := range []string{"fs.s3a.access.key", "fs.s3a.secret.key", "fs.s3a.aws.credentials.provider", "access_key_id", "aws_access_key_id", "--s3-access-key-id", "--access_key", "--access-key"} {
			if ok && (name == key || strings.HasSuffix(name, "."+key)) || word == key && strings.HasPrefix(key, "--") {
				l.trap(PassesKeys, name, "its arguments")
			}
		}
	}
}
