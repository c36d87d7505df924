package clients

import (
	"path/filepath"
	"strings"
)

// java looks at the names of the archives on a Java command line:
// sdk-core-2.20.90.jar. It does not look into one, so that what others were merged
// into says nothing.
func (l *looker) java(args []string) {
	l.r.Runtime = "Java"
	classpath := l.getenv("CLASSPATH")
	var jars []string
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		value, assigned := strings.CutPrefix(word, "--class-path=")
		switch {
		case assigned:
			classpath = value
		case len(args) > 0 && (word == "-cp" || word == "-classpath" || word == "--class-path"):
			classpath, args = args[0], args[1:]
		case len(args) > 0 && word == "-jar":
			jars, classpath = append(jars, l.program(args[0])), ""
			l.arguments(args)
			args = nil
		case strings.HasPrefix(word, "-D"):
			l.systemProperty(word)
		case !strings.HasPrefix(word, "-"): // the main class
			l.arguments(append([]string{""}, args...))
			args = nil
		}
	}
	for _, entry := range filepath.SplitList(classpath) {
		if filepath.Base(entry) == "*" {
			jars = append(jars, glob(l.abs(filepath.Dir(entry)), "*.jar")...)
		} else {
			jars = append(jars, l.abs(entry))
		}
	}
	for _, jar := range jars {
		l.jar(jar)
	}
	l.looked("the names of %d jars, not into them", len(jars))
}

func (l *looker) systemProperty(word string) {
	name, value, _ := strings.Cut(strings.TrimPrefix(word, "-D"), "=")
	switch name {
	case "aws.accessKeyId", "aws.secretKey", "aws.secretAccessKey":
		l.trap(PassesKeys, "-D"+name, "its arguments")
	case "aws.profile":
		l.trap(SelectsProfile, value, "-Daws.profile")
	}
	l.arguments([]string{"", strings.TrimPrefix(word, "-D")})
}

// jar knows archives by their names, and their versions.
func (l *looker) jar(file string) {
	base, ok := strings.CutSuffix(filepath.Base(file), ".jar")
	i := strings.LastIndex(base, "-")
	for i > 0 && i+1 < len(base) && (base[i+1] < '0' || base[i+1] > '9') {
		i = strings.LastIndex(base[:i], "-")
	}
	if !ok || i <= 0 {
		return
	}
	c := Client{Version: base[i+1:], Where: file, Named: true}
	switch name := base[:i]; name {
	case "aws-java-sdk-core", "aws-java-sdk", "aws-java-sdk-bundle":
		c.ID, c.Name = "java1", "AWS SDK for Java"
	case "sdk-core", "aws-core", "bundle":
		if !strings.HasPrefix(c.Version, "2.") {
			return
		}
		c.ID, c.Name = "java2", "AWS SDK for Java"
	case "hadoop-aws":
		c.ID, c.Name = "s3a", "Hadoop S3A"
	case "aws-crt":
		c.ID, c.Name, c.Version, c.Named = "crt", "AWS common runtime for Java", "", false
	case "aws-config-jvm":
		c.ID, c.Name = "kotlin", "AWS SDK for Kotlin"
	default:
		return
	}
	l.found(c)
}
