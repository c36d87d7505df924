package clients

import (
	"archive/zip"
	"bufio"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// java looks at the archives on a Java command line. Their names tell versions;
// one that has everything in it tells by the descriptions that Maven leaves.
func (l *looker) java(args []string) {
	l.r.Runtime = "Java"
	classpath := l.getenv("CLASSPATH")
	var jars []string
	for i := 0; i < len(args); i++ {
		word := args[i]
		next := func() string {
			if i++; i < len(args) {
				return args[i]
			}
			return ""
		}
		switch {
		case word == "-cp" || word == "-classpath" || word == "--class-path":
			classpath = next()
		case strings.HasPrefix(word, "--class-path="):
			_, classpath, _ = strings.Cut(word, "=")
		case word == "-jar":
			name := next()
			jar := l.abs(name)
			l.program(name, jar)
			jars = append(jars, jar)
			classpath = ""
			l.confFlags(args[min(i, len(args)-1):])
			i = len(args)
		case strings.HasPrefix(word, "-D"):
			l.systemProperty(word)
		case !strings.HasPrefix(word, "-"): // the main class
			l.confFlags(args[i:])
			i = len(args)
		}
	}
	for _, entry := range filepath.SplitList(classpath) {
		if filepath.Base(entry) == "*" {
			jars = append(jars, glob(l.abs(filepath.Dir(entry)), "*.jar")...)
		} else if strings.HasSuffix(entry, ".jar") {
			jars = append(jars, l.abs(entry))
		}
	}
	const most = 500
	for i := 0; i < min(len(jars), most); i++ {
		if l.jarName(jars[i], jars[i]) {
			continue
		}
		for _, more := range l.jar(jars[i]) {
			if !slices.Contains(jars, more) {
				jars = append(jars, more)
			}
		}
	}
	l.looked("%d jars of the class path", len(jars))
}

func (l *looker) systemProperty(word string) {
	name, value, _ := strings.Cut(strings.TrimPrefix(word, "-D"), "=")
	switch name {
	case "aws.accessKeyId", "aws.secretKey", "aws.secretAccessKey":
		l.trap(PassesKeys, "-D"+name, "its arguments")
	case "aws.profile":
		l.trap(SelectsProfile, value, "-Daws.profile")
	}
	l.confFlags([]string{"", strings.TrimPrefix(word, "-D")})
}

// jarName knows archives by their names: sdk-core-2.20.90.jar.
func (l *looker) jarName(file, where string) bool {
	base := strings.TrimSuffix(path.Base(filepath.ToSlash(file)), ".jar")
	i := strings.LastIndex(base, "-")
	for i > 0 && i+1 < len(base) && (base[i+1] < '0' || base[i+1] > '9') {
		i = strings.LastIndex(base[:i], "-")
	}
	if i <= 0 {
		return false
	}
	return l.artifact(base[:i], base[i+1:], where)
}

func (l *looker) artifact(name, version, where string) bool {
	c := Client{Version: version, Where: where, Named: true}
	switch name {
	case "aws-java-sdk-core", "aws-java-sdk", "aws-java-sdk-bundle":
		c.ID, c.Name = "java1", "AWS SDK for Java"
	case "sdk-core", "aws-core", "bundle":
		if !strings.HasPrefix(version, "2.") {
			return false
		}
		c.ID, c.Name = "java2", "AWS SDK for Java"
	case "hadoop-aws":
		c.ID, c.Name = "s3a", "Hadoop S3A"
	case "aws-crt":
		c.ID, c.Name, c.Version, c.Named = "crt", "AWS common runtime for Java", "", false
	case "aws-config-jvm":
		c.ID, c.Name = "kotlin", "AWS SDK for Kotlin"
	default:
		return false
	}
	l.found(c)
	return true
}

// jar looks into an archive, and returns those that its manifest asks for.
func (l *looker) jar(file string) (more []string) {
	opened, err := open(file)
	if err != nil {
		return nil
	}
	defer opened.Close()
	info, err := opened.Stat()
	if err != nil {
		return nil
	}
	z, err := zip.NewReader(opened, info.Size())
	if err != nil {
		return nil
	}
	unnamed := map[string]Client{}
	for _, f := range z.File {
		switch {
		case f.Name == "META-INF/MANIFEST.MF":
			more = classPath(f, filepath.Dir(file))
		case strings.HasPrefix(f.Name, "META-INF/maven/") && path.Base(f.Name) == "pom.properties":
			l.artifact(path.Base(path.Dir(f.Name)), property(f, "version"), file)
		case strings.HasSuffix(f.Name, ".jar"): // Spring's BOOT-INF/lib, WEB-INF/lib
			l.jarName(f.Name, file)
		case strings.HasPrefix(f.Name, "com/amazonaws/auth/"):
			unnamed["java1"] = Client{ID: "java1", Name: "AWS SDK for Java 1", Where: file, Named: true}
		case strings.HasPrefix(f.Name, "software/amazon/awssdk/auth/credentials/"):
			unnamed["java2"] = Client{ID: "java2", Name: "AWS SDK for Java 2", Where: file, Named: true}
		}
	}
	for _, id := range []string{"java1", "java2"} {
		if c, ok := unnamed[id]; ok {
			l.found(c)
		}
	}
	return more
}

// unfolded reads a small text in an archive. Long lines of a manifest are
// continued by a blank at the start of the next.
func unfolded(f *zip.File) string {
	r, err := f.Open()
	if err != nil {
		return ""
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, 1<<20))
	if err != nil {
		return ""
	}
	return strings.ReplaceAll(strings.ReplaceAll(string(b), "\r\n", "\n"), "\n ", "")
}

func classPath(f *zip.File, dir string) (jars []string) {
	for lines := bufio.NewScanner(strings.NewReader(unfolded(f))); lines.Scan(); {
		if list, ok := strings.CutPrefix(lines.Text(), "Class-Path: "); ok {
			for _, jar := range strings.Fields(list) {
				jar = strings.TrimPrefix(jar, "file:")
				if !filepath.IsAbs(jar) {
					jar = filepath.Join(dir, filepath.FromSlash(jar))
				}
				jars = append(jars, jar)
			}
		}
	}
	return jars
}

func property(f *zip.File, key string) string {
	for line := range strings.Lines(unfolded(f)) {
		if v, ok := strings.CutPrefix(line, key+"="); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}
