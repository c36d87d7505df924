package clients

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tree is a file system for one test: paths and what is in them. A path that
// ends in "*" is executable, "->" makes a link.
type tree map[string]string

const native = "\x7fELF\x00 not really"

func (files tree) make(t *testing.T) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("looks at paths of Unix")
	}
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		plain, executable := strings.CutSuffix(name, "*")
		path := filepath.Join(root, plain)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if to, ok := strings.CutPrefix(text, "->"); ok {
			err = os.Symlink(strings.ReplaceAll(to, "ROOT", root), path)
		} else {
			mode := os.FileMode(0o644)
			if executable {
				mode = 0o755
			}
			err = os.WriteFile(path, []byte(strings.ReplaceAll(text, "ROOT", root)), mode)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// brief is a report as a test compares it.
func brief(r *Report, root string) string {
	var b strings.Builder
	line := func(kind string, words ...string) {
		b.WriteString(kind + " " + strings.ReplaceAll(strings.Join(words, " "), root, "ROOT") + "\n")
	}
	if r.Err != nil {
		line("err", r.Err.Error())
	}
	run := "(" + r.Runtime + ")"
	if r.Shell {
		run += " whose script is not looked into"
	}
	line("run", strings.Join(r.Steps, " → "), run)
	for _, c := range r.Clients {
		how := "installed"
		if c.Named {
			how = "named"
		}
		line("client", c.ID+":", c.String(), how)
	}
	for _, t := range r.Traps {
		kind := []string{"profile", "keys", "copy", "variable", "environment", "user", "place", "files", "network", "left", "reads", "file", "keeps"}[t.Kind]
		if t.Maybe {
			kind += "?"
		}
		line("trap", kind, t.What, "in", t.Where)
	}
	return b.String()
}

// merge is one tree of two.
func merge(a, b tree) tree {
	both := maps.Clone(a)
	maps.Copy(both, b)
	return both
}

func TestLook(t *testing.T) {
	const installed = "client awscli: AWS CLI 1.45.11 installed\nclient botocore: botocore 1.43.11 installed\nclient cpp: pyarrow 18.0.0 (AWS SDK for C++) installed\n"
	venv := tree{
		"py/bin/python3.11*": native,
		"py/lib/python3.11/site-packages/boto3-1.17.0.dist-info/x": "",
		"venv/bin/python": "->ROOT/py/bin/python3.11",
		"venv/pyvenv.cfg": "home = ROOT/py/bin\ninclude-system-site-packages = false\nversion = 3.11.7\n",
		"venv/lib/python3.11/site-packages/botocore-1.43.11.dist-info/METADATA": "",
		"venv/lib/python3.11/site-packages/awscli-1.45.11.dist-info/METADATA":   "",
		"venv/lib/python3.11/site-packages/pyarrow-18.0.0.dist-info/METADATA":   "",
		"venv/bin/aws*": "#!ROOT/venv/bin/python\nimport awscli.clidriver\n",
		"job.py":        "import os, boto3.session\nfrom json import loads\n",
		"trap.py": "import boto3\ns = boto3.Session(profile_name='prod')\nf = s.get_credentials().get_frozen_credentials()\n" +
			"c = boto3.client('s3', aws_access_key_id=f.access_key)\n# boto3.Session(profile_name='comment')\n",
	}
	for _, test := range []struct {
		name  string
		files tree
		env   []string
		argv  []string
		want  string
	}{
		{"not found", tree{}, nil, []string{"nothing"}, "err run \"nothing\": not found in PATH: file does not exist\nrun  ()\n"},
		{"not executable", tree{"bin/x": "#!/bin/sh\n"}, nil, []string{"x"}, "err run \"x\": permission denied\nrun  ()\n"},
		{"path with a slash", tree{"job*": native}, nil, []string{"./job"}, "run ROOT/job (native code)\n"},
		{
			"virtual environment", venv, nil, []string{"venv/bin/python", "-u", "-W", "ignore", "job.py", "--profile", "x"},
			"run ROOT/venv/bin/python → ROOT/job.py (Python 3.11)\nclient botocore: botocore 1.43.11 named\nclient awscli: AWS CLI 1.45.11 installed\n" +
				"client cpp: pyarrow 18.0.0 (AWS SDK for C++) installed\ntrap profile x in job.py --profile\n",
		},
		{
			"console script", venv, nil, []string{"venv/bin/aws", "s3", "ls", "--profile=prod"},
			"run ROOT/venv/bin/aws → ROOT/venv/bin/python (Python 3.11)\nclient awscli: AWS CLI 1.45.11 named\ntrap profile prod in aws --profile\n",
		},
		{
			"what a script does", venv, nil, []string{"venv/bin/python", "trap.py"},
			"run ROOT/venv/bin/python → ROOT/trap.py (Python 3.11)\nclient botocore: botocore 1.43.11 named\nclient awscli: AWS CLI 1.45.11 installed\n" +
				"client cpp: pyarrow 18.0.0 (AWS SDK for C++) installed\n" +
				"trap profile prod in ROOT/trap.py\ntrap copy get_frozen_credentials() in ROOT/trap.py\ntrap keys aws_access_key_id= in ROOT/trap.py\n",
		},
		{
			"a module", venv, nil, []string{"venv/bin/python", "-Im", "awscli", "s3"},
			"run ROOT/venv/bin/python (Python 3.11)\nclient awscli: AWS CLI 1.45.11 named\nclient botocore: botocore 1.43.11 installed\nclient cpp: pyarrow 18.0.0 (AWS SDK for C++) installed\n",
		},
		{
			"system packages seen from a virtual environment", tree{
				"usr/bin/python3.11*": native, "usr/bin/python3": "->python3.11", "v/bin/python3": "->ROOT/usr/bin/python3",
				"v/pyvenv.cfg": "home = ROOT/usr/bin\ninclude-system-site-packages = true\n", "v/lib/python3.11/site-packages/x": "",
				"usr/lib/python3/dist-packages/botocore-1.29.27.egg-info": "", "usr/lib/python3/dist-packages/GDAL-3.6.2.egg-info": "",
			}, nil, []string{"v/bin/python3", "-c", "from osgeo import gdal; import sys"},
			"run ROOT/v/bin/python3 (Python 3.11)\nclient gdal: GDAL 3.6.2 named\nclient botocore: botocore 1.29.27 installed\n",
		},
		{
			"user packages and PYTHONPATH", tree{
				"usr/bin/python3.12*": native, "bin/python3": "->ROOT/usr/bin/python3.12", "usr/lib/python3.12/os.py": "",
				"home/.local/lib/python3.12/site-packages/boto-2.49.0.dist-info/x": "", "lib/botocore-1.31.0.dist-info/METADATA": "",
			}, []string{"PYTHONPATH=ROOT/lib"}, []string{"python3"},
			"run ROOT/bin/python3 (Python 3.12)\nclient botocore: botocore 1.31.0 installed\nclient boto: boto 2 2.49.0 installed\n",
		},
		{
			"env -S and assignments", tree{"bin/env*": native, "bin/python3.10*": native, "lib/python3.10/site-packages/botocore-1.40.0.dist-info/x": "", "job*": "#!ROOT/bin/env -S A=b AWS_PROFILE=q python3.10 -u\nimport boto3\n"}, nil,
			[]string{"./job"},
			"run ROOT/job → ROOT/bin/env → ROOT/bin/python3.10 (Python 3.10)\nclient botocore: botocore 1.40.0 named\ntrap profile q in env\n",
		},
		{
			"wrappers", tree{"bin/timeout*": native, "bin/nice*": native, "bin/sudo*": native, "bin/s5cmd*": native}, nil,
			[]string{"timeout", "-k", "5", "--signal", "INT", "60", "nice", "-n", "5", "sudo", "-u", "ops", "s5cmd", "cp"},
			"run ROOT/bin/timeout → ROOT/bin/nice → ROOT/bin/sudo → ROOT/bin/s5cmd (native code)\nclient s5cmd: s5cmd named\ntrap environment sudo in sudo\n",
		},
		{
			"sudo that keeps the environment", tree{"bin/sudo*": native, "bin/s5cmd*": native}, nil, []string{"sudo", "-E", "s5cmd"},
			"run ROOT/bin/sudo → ROOT/bin/s5cmd (native code)\nclient s5cmd: s5cmd named\n",
		},
		{
			"sudo to another user that keeps the environment", tree{"bin/sudo*": native, "bin/s5cmd*": native}, nil, []string{"sudo", "-Eu", "nobody", "s5cmd"},
			"run ROOT/bin/sudo → ROOT/bin/s5cmd (native code)\nclient s5cmd: s5cmd named\ntrap user sudo in sudo\n",
		},
		{
			"sudo to another user, spelt in full", tree{"bin/sudo*": native, "bin/s5cmd*": native}, nil, []string{"sudo", "--preserve-env=AWS_PROFILE", "--user=nobody", "s5cmd"},
			"run ROOT/bin/sudo → ROOT/bin/s5cmd (native code)\nclient s5cmd: s5cmd named\ntrap user sudo in sudo\n",
		},
		{
			"sudo to root that keeps the environment", tree{"bin/sudo*": native, "bin/s5cmd*": native}, nil, []string{"sudo", "-E", "-u", "root", "s5cmd"},
			"run ROOT/bin/sudo → ROOT/bin/s5cmd (native code)\nclient s5cmd: s5cmd named\n",
		},
		{
			"setpriv", tree{"bin/setpriv*": native, "bin/s5cmd*": native}, nil, []string{"setpriv", "--reuid=1000", "--regid", "1000", "--clear-groups", "s5cmd"},
			"run ROOT/bin/setpriv → ROOT/bin/s5cmd (native code)\nclient s5cmd: s5cmd named\ntrap user setpriv in setpriv\n",
		},
		{
			"setpriv that changes no user", tree{"bin/setpriv*": native, "bin/s5cmd*": native}, nil, []string{"setpriv", "--no-new-privs", "s5cmd"},
			"run ROOT/bin/setpriv → ROOT/bin/s5cmd (native code)\nclient s5cmd: s5cmd named\n",
		},
		{
			"chroot", tree{"bin/chroot*": native, "bin/s5cmd*": native}, nil, []string{"chroot", "--userspec=1:1", "/srv/jail", "s5cmd"},
			"run ROOT/bin/chroot → ROOT/bin/s5cmd (native code)\nclient s5cmd: s5cmd named\ntrap files chroot in chroot\n",
		},
		{
			"unshare without a network", tree{"bin/unshare*": native, "bin/s5cmd*": native}, nil, []string{"unshare", "-rn", "s5cmd"},
			"run ROOT/bin/unshare → ROOT/bin/s5cmd (native code)\nclient s5cmd: s5cmd named\ntrap network unshare in unshare\n",
		},
		{
			"unshare of mounts", tree{"bin/unshare*": native, "bin/s5cmd*": native}, nil, []string{"unshare", "-m", "--propagation", "private", "s5cmd"},
			"run ROOT/bin/unshare → ROOT/bin/s5cmd (native code)\nclient s5cmd: s5cmd named\n",
		},
		{
			"nsenter", tree{"bin/nsenter*": native, "bin/s5cmd*": native}, nil, []string{"nsenter", "-t", "1", "-m", "-n", "s5cmd"},
			"run ROOT/bin/nsenter → ROOT/bin/s5cmd (native code)\nclient s5cmd: s5cmd named\ntrap place nsenter in nsenter\n",
		},
		{
			"nsenter into a network", tree{"bin/nsenter*": native, "bin/s5cmd*": native}, nil, []string{"nsenter", "--net=/run/netns/x", "s5cmd"},
			"run ROOT/bin/nsenter → ROOT/bin/s5cmd (native code)\nclient s5cmd: s5cmd named\ntrap network nsenter in nsenter\n",
		},
		{
			"ip netns", tree{"bin/ip*": native, "bin/s5cmd*": native}, nil, []string{"ip", "netns", "exec", "x", "s5cmd"},
			"run ROOT/bin/ip → ROOT/bin/s5cmd (native code)\nclient s5cmd: s5cmd named\ntrap network ip netns exec in ip\n",
		},
		{"tmux", tree{"bin/tmux*": native}, nil, []string{"tmux", "new", "-d", "s5cmd"}, "run ROOT/bin/tmux ()\ntrap left tmux in tmux\n"},
		{"screen", tree{"bin/screen*": native}, nil, []string{"screen", "-dm", "s5cmd"}, "run ROOT/bin/screen ()\ntrap left screen in screen\n"},
		{
			"setsid", tree{"bin/setsid*": native, "bin/nohup*": native, "bin/s5cmd*": native}, nil, []string{"nohup", "setsid", "s5cmd"},
			"run ROOT/bin/nohup → ROOT/bin/setsid → ROOT/bin/s5cmd (native code)\nclient s5cmd: s5cmd named\ntrap left? setsid in setsid\n",
		},
		{
			"setsid that forks", tree{"bin/setsid*": native, "bin/s5cmd*": native}, nil, []string{"setsid", "-f", "s5cmd"},
			"run ROOT/bin/setsid → ROOT/bin/s5cmd (native code)\nclient s5cmd: s5cmd named\ntrap left setsid in setsid\n",
		},
		{
			"setsid that waits", tree{"bin/setsid*": native, "bin/s5cmd*": native}, nil, []string{"setsid", "-w", "s5cmd"},
			"run ROOT/bin/setsid → ROOT/bin/s5cmd (native code)\nclient s5cmd: s5cmd named\n",
		},
		{"no script of Python", venv, nil, []string{"venv/bin/python", "gone.py"}, "err read \"gone.py\": file does not exist\nrun ROOT/venv/bin/python → ROOT/gone.py (Python 3.11)\n" + installed},
		{"no script of a shell", tree{"bin/sh*": native}, nil, []string{"sh", "gone.sh"}, "err read \"gone.sh\": file does not exist\nrun ROOT/bin/sh → ROOT/gone.sh (sh) whose script is not looked into\n"},
		{"script of a shell in PATH", tree{"bin/bash*": native, "bin/job*": "exit"}, nil, []string{"bash", "job"}, "run ROOT/bin/bash → ROOT/bin/job (bash) whose script is not looked into\n"},
		{"no jar", tree{"bin/java*": native}, nil, []string{"java", "-jar", "gone.jar"}, "err read \"gone.jar\": file does not exist\nrun ROOT/bin/java → ROOT/gone.jar (Java)\n"},
		{"no script of Node.js", tree{"bin/node*": native}, nil, []string{"node", "gone"}, "err read \"gone\": file does not exist\nrun ROOT/bin/node → ROOT/gone (Node.js)\n"},
		{"no script of Ruby", tree{"bin/ruby*": native}, nil, []string{"ruby", "gone.rb"}, "err read \"gone.rb\": file does not exist\nrun ROOT/bin/ruby → ROOT/gone.rb (Ruby)\n"},
		{
			"keys that are read", merge(venv, tree{"own.py": "import os\nk = os.environ['AWS_ACCESS_KEY_ID']\n"}), nil, []string{"venv/bin/python", "own.py"},
			"run ROOT/venv/bin/python → ROOT/own.py (Python 3.11)\n" + installed + "trap reads AWS_ACCESS_KEY_ID in ROOT/own.py\n",
		},
		{
			"keys that may be read", merge(venv, tree{"own.py": "import os\nk = os.environ.get(\"AWS_ACCESS_KEY_ID\")\nf = open(os.environ['AWS_SHARED_CREDENTIALS_FILE'])\n"}), nil, []string{"venv/bin/python", "own.py"},
			"run ROOT/venv/bin/python → ROOT/own.py (Python 3.11)\n" + installed + "trap reads? AWS_ACCESS_KEY_ID in ROOT/own.py\ntrap file? AWS_SHARED_CREDENTIALS_FILE in ROOT/own.py\n",
		},
		{
			"keys that are asked for first", merge(venv, tree{"own.py": "import os\nif 'AWS_ACCESS_KEY_ID' in os.environ:\n  k = os.environ['AWS_ACCESS_KEY_ID']\n"}), nil, []string{"venv/bin/python", "own.py"},
			"run ROOT/venv/bin/python → ROOT/own.py (Python 3.11)\n" + installed + "trap reads? AWS_ACCESS_KEY_ID in ROOT/own.py\n",
		},
		{
			"keys that are only passed on", merge(venv, tree{"own.py": "def f(aws_access_key_id=None):\n  boto3.client('s3', aws_access_key_id=aws_access_key_id, aws_secret_access_key=x)\n"}), nil, []string{"venv/bin/python", "own.py"},
			"run ROOT/venv/bin/python → ROOT/own.py (Python 3.11)\n" + installed + "trap keys? aws_access_key_id= in ROOT/own.py\n",
		},
		{
			"a set for half an hour", merge(venv, tree{"own.py": "from obstore.auth.boto3 import Boto3CredentialProvider\np = Boto3CredentialProvider(s)\n"}), nil, []string{"venv/bin/python", "own.py"},
			"run ROOT/venv/bin/python → ROOT/own.py (Python 3.11)\n" + installed + "trap keeps obstore's Boto3CredentialProvider in ROOT/own.py\n",
		},
		{
			"keys that Node.js may read", tree{"bin/node*": native, "j.js": "process.env.AWS_ACCESS_KEY_ID = 'x'\nconst k = process.env.AWS_ACCESS_KEY_ID\n"}, nil, []string{"node", "j.js"},
			"run ROOT/bin/node → ROOT/j.js (Node.js)\ntrap variable AWS_ACCESS_KEY_ID in ROOT/j.js\ntrap reads? AWS_ACCESS_KEY_ID in ROOT/j.js\n",
		},
		{"doas", tree{"bin/doas*": native, "bin/s5cmd*": native}, nil, []string{"doas", "-u", "x", "s5cmd"}, "run ROOT/bin/doas → ROOT/bin/s5cmd (native code)\nclient s5cmd: s5cmd named\ntrap environment doas in doas\n"},
		{"su", tree{"bin/su*": native}, nil, []string{"su", "x", "-c", "s5cmd"}, "run ROOT/bin/su ()\ntrap user su in su\n"},
		{"su with a login", tree{"bin/su*": native}, nil, []string{"su", "-", "x"}, "run ROOT/bin/su ()\ntrap environment su in su\n"},
		{"runuser with a login", tree{"bin/runuser*": native}, nil, []string{"runuser", "--login", "x"}, "run ROOT/bin/runuser ()\ntrap environment runuser in runuser\n"},
		{"Python without the user's packages", tree{"bin/python3.12*": native, "home/.local/lib/python3.12/site-packages/boto3-1.1.dist-info/x": ""}, []string{"PYTHONNOUSERSITE=1"}, []string{"python3.12"}, "run ROOT/bin/python3.12 (Python 3.12)\n"},
		{"isolated Python", tree{"bin/python3.12*": native, "home/.local/lib/python3.12/site-packages/boto3-1.1.dist-info/x": ""}, nil, []string{"python3.12", "-I"}, "run ROOT/bin/python3.12 (Python 3.12)\n"},
		{"container", tree{"bin/docker*": native}, nil, []string{"docker", "run", "x"}, "run ROOT/bin/docker ()\ntrap place docker in docker\n"},
		{
			"node", tree{
				"bin/node*": native, "app/src/main.js": "const {S3} = require('@aws-sdk/client-s3')", "app/node_modules/aws-sdk/package.json": `{"version":"2.1500.0"}`,
				"app/node_modules/@aws-sdk/client-s3/package.json": `{"version":"3.2.0"}`, "app/node_modules/@aws-sdk/credential-provider-node/package.json": `{"version":"3.1.0"}`,
				"node_modules/aws-sdk/package.json": `{"version":"2.1.0"}`,
			}, nil, []string{"node", "--enable-source-maps", "app/src/main"},
			"run ROOT/bin/node → ROOT/app/src/main.js (Node.js)\nclient js3: AWS SDK for JavaScript v3 3.1.0 named\nclient js2: AWS SDK for JavaScript v2 2.1500.0 installed\n",
		},
		{
			"jars of the class path", tree{"bin/java*": native, "lib/aws-java-sdk-core-1.12.484.jar": "", "lib/sdk-core-2.20.90.jar": "", "lib/bundle-1.0.jar": "", "lib/hadoop-aws-3.3.4.jar": ""}, nil,
			[]string{"java", "-Xmx1g", "-Daws.profile=p", "-cp", "x:lib/*", "Main", "-conf", "spark.hadoop.fs.s3a.access.key=SECRET"},
			"run ROOT/bin/java (Java)\nclient java1: AWS SDK for Java 1.12.484 named\nclient s3a: Hadoop S3A 3.3.4 named\nclient java2: AWS SDK for Java 2.20.90 named\n" +
				"trap profile p in -Daws.profile\ntrap keys spark.hadoop.fs.s3a.access.key in its arguments\n",
		},
		{
			"ruby", tree{"usr/bin/ruby*": native, "usr/share/rubygems-integration/all/specifications/aws-sdk-core-3.168.1.gemspec": "", "job.rb": "require 'aws-sdk-s3'"}, []string{"PATH=ROOT/usr/bin"}, []string{"ruby", "-w", "job.rb"},
			"run ROOT/usr/bin/ruby → ROOT/job.rb (Ruby)\nclient ruby: AWS SDK for Ruby (aws-sdk-core) 3.168.1 named\n",
		},
		{
			"Gemfile.lock", tree{"bin/ruby*": native, "Gemfile.lock": "GEM\n  specs:\n    aws-sdk-core (3.211.0)\n      aws-sdk-core (~> 3)\n", "lib/ruby/gems/3.1.0/specifications/aws-sdk-core-3.9.0.gemspec": ""}, nil, []string{"ruby", "-e", "1"},
			"run ROOT/bin/ruby (Ruby)\nclient ruby: AWS SDK for Ruby (aws-sdk-core) 3.211.0 installed\n",
		},
		{
			"composer", tree{"bin/php*": native, "a/b.php": "", "vendor/composer/installed.json": `{"packages":[{"name":"aws/aws-sdk-php","version":"3.300.0"}]}`}, nil, []string{"php", "a/b.php"},
			"run ROOT/bin/php → ROOT/a/b.php (PHP)\nclient php: AWS SDK for PHP 3.300.0 named\n",
		},
		{
			"dotnet", tree{"bin/dotnet*": native, "app.dll": "", "app.deps.json": `{"libraries":{"AWSSDK.Core/3.7.1":{},"AWSSDK.S3/3.7.1":{}}}`}, nil, []string{"dotnet", "app.dll"},
			"run ROOT/bin/dotnet → ROOT/app.dll (.NET)\nclient dotnet: AWS SDK for .NET 3.7.1 named\n",
		},
		{
			"AWS CLI 2", tree{"bin/aws": "->../aws-cli/v2/current/bin/aws", "aws-cli/v2/current": "->2.17.1", "aws-cli/v2/2.17.1/bin/aws": "->../dist/aws", "aws-cli/v2/2.17.1/dist/aws*": native}, nil, []string{"aws", "s3"},
			"run ROOT/bin/aws (native code)\nclient awscli: AWS CLI 2 named\n",
		},
		{"curl that signs nothing", tree{"bin/curl*": native}, nil, []string{"curl", "x"}, "run ROOT/bin/curl ()\n"},
		{"spark", tree{"bin/spark-submit*": "#!/usr/bin/env bash\n"}, nil, []string{"spark-submit", "j.py"}, "run ROOT/bin/spark-submit ()\nclient s3a: spark-submit (Hadoop S3A) named\n"},
		{"text for a shell", tree{"bin/sh*": native, "bin/s5cmd*": native}, nil, []string{"sh", "-ec", "s5cmd a"}, "run ROOT/bin/sh (sh) whose script is not looked into\n"},
		{"script of a shell", tree{"bin/bash*": native, "bin/env*": native, "job*": "#!ROOT/bin/env bash\nexport AWS_PROFILE=x\ns5cmd a\n"}, nil, []string{"./job", "-c"}, "run ROOT/job → ROOT/bin/env → ROOT/bin/bash (bash) whose script is not looked into\n"},
		{"script of a shell with an option", tree{"bin/sh*": native, "job": ""}, nil, []string{"sh", "-e", "job"}, "run ROOT/bin/sh → ROOT/job (sh) whose script is not looked into\n"},
		{"script without a first line", tree{"job*": "s3fs x\n"}, nil, []string{"./job"}, "run ROOT/job → /bin/sh (sh) whose script is not looked into\n"},
		{"unknown binary", tree{"bin/job*": native + "/root/aws-config-1.2/src"}, nil, []string{"job"}, "run ROOT/bin/job (native code)\n"},
		{
			"installed command of Node.js", tree{"bin/node*": native, "bin/env*": native, "node_modules/.bin/tool": "->../tool/cli.js", "node_modules/tool/cli.js*": "#!ROOT/bin/env node\nimport 'aws-sdk'\n", "node_modules/aws-sdk/package.json": `{"version":"2.2.0"}`}, nil,
			[]string{"node_modules/.bin/tool"},
			"run ROOT/node_modules/.bin/tool → ROOT/bin/env → ROOT/bin/node (Node.js)\nclient js2: AWS SDK for JavaScript v2 2.2.0 named\n",
		},
		{"text for Node.js", tree{"bin/node*": native, "node_modules/aws-sdk/package.json": `{"version":"2.2.0"}`}, nil, []string{"node", "--no-warnings", "-e", "require('aws-sdk')", "x"}, "run ROOT/bin/node (Node.js)\nclient js2: AWS SDK for JavaScript v2 2.2.0 named\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := test.files.make(t)
			env := []string{"HOME=" + root + "/home"}
			for _, e := range test.env {
				env = append(env, strings.ReplaceAll(e, "ROOT", root))
			}
			got := brief(Look(test.argv, append(env, "PATH="+root+"/bin"), root), root)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("Look(%q) (-want +got):\n%s", test.argv, diff)
			}
		})
	}
}

func TestLookErrors(t *testing.T) {
	root := tree{"bin/x": ""}.make(t)
	for name, want := range map[string]error{"x": fs.ErrPermission, "y": fs.ErrNotExist, "": fs.ErrNotExist, "./bin": fs.ErrPermission} {
		if r := Look([]string{name}, []string{"PATH=" + root + "/bin"}, root); !errors.Is(r.Err, want) {
			t.Errorf("Look(%q).Err = %v, want %v", name, r.Err, want)
		}
	}
}

// TestGoModules looks at a Go program: this one, which has no AWS client, and
// one that is built with modules of the clients' names.
func TestGoModules(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if r := Look([]string{self}, nil, ""); r.Runtime != "Go" || len(r.Clients) > 0 {
		t.Errorf("the test's own binary is %q with %v, want Go without a client", r.Runtime, r.Clients)
	}
	root := tree{
		"go.mod": "module example.com/job\n\ngo 1.21\n\nrequire (\n\tgithub.com/aws/aws-sdk-go v1.55.8\n\tgithub.com/aws/aws-sdk-go-v2/config v1.33.16\n\tgithub.com/minio/minio-go/v7 v7.0.40\n\tgithub.com/minio/minio-go/v6 v6.0.57\n)\n\n" +
			"replace (\n\tgithub.com/aws/aws-sdk-go => ./v1\n\tgithub.com/aws/aws-sdk-go-v2/config => ./v2\n\tgithub.com/minio/minio-go/v7 => ./minio\n\tgithub.com/minio/minio-go/v6 => ./minio6\n)\n",
		"main.go":   "package main\n\nimport (\n\t_ \"github.com/aws/aws-sdk-go\"\n\t_ \"github.com/aws/aws-sdk-go-v2/config\"\n\t_ \"github.com/minio/minio-go/v7\"\n\t_ \"github.com/minio/minio-go/v6\"\n)\n\nfunc main() {}\n",
		"v1/go.mod": "module github.com/aws/aws-sdk-go\n", "v1/x.go": "package sdk\n",
		"v2/go.mod": "module github.com/aws/aws-sdk-go-v2/config\n", "v2/x.go": "package config\n",
		"minio/go.mod": "module github.com/minio/minio-go/v7\n", "minio/x.go": "package minio\n",
		"minio6/go.mod": "module github.com/minio/minio-go/v6\n", "minio6/x.go": "package minio\n",
	}.make(t)
	build := exec.Command("go", "build", "-o", "job", ".")
	build.Dir, build.Env = root, append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	want := "run ROOT/job (Go)\nclient go1: aws-sdk-go 1.55.8 named\nclient go2: aws-sdk-go-v2 1.33.16 named\nclient minio-go: minio-go 7.0.40 named\nclient minio-go-old: minio-go 6.0.57 named\n"
	if diff := cmp.Diff(want, brief(Look([]string{"./job"}, nil, root), root)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLibraries(t *testing.T) {
	for lib, want := range map[string]string{
		"libaws-cpp-sdk-core.so": "cpp: AWS SDK for C++", "/opt/x/libaws-c-auth.so.1": "crt: AWS common runtime", "@rpath/libarrow.1800.dylib": "cpp: Apache Arrow (AWS SDK for C++)",
		"libgdal.so.32": "gdal: GDAL 3.6", "libgdal.so.35.3.9.1": "gdal: GDAL 3.9", "libgdal-1a2b.so.38.3.12.0": "gdal: GDAL 3.12", "libgdal.so": "gdal: GDAL", "libgdal.so.1": "gdal: GDAL", "libgdal.so.x": "gdal: GDAL", "libc.so.6": ": ",
	} {
		c, _ := clientOfLibrary(lib)
		if got := c.ID + ": " + c.String(); got != want {
			t.Errorf("clientOfLibrary(%q) = %q, want %q", lib, got, want)
		}
	}
	if runtime.GOOS != "linux" {
		return
	}
	if list := libraries("/bin/ls"); len(list) == 0 {
		t.Skip("/bin/ls is linked statically here")
	}
	if got := strings.Join(libraries("/bin/ls"), " "); !strings.Contains(got, "libc.") {
		t.Errorf("libraries of ls = %q, want libc among them", got)
	}
}

// TestHabits checks the form of the tables: letters that are known, versions that
// go up, a last line for all that is newer, and measurements of known clients.
func TestHabits(t *testing.T) {
	ids := map[string]bool{}
	for line := range strings.Lines(known + measured) {
		if !strings.HasPrefix(line, "#") {
			ids[strings.Fields(line)[0]] = true
		}
	}
	if len(ids) < 30 {
		t.Errorf("%d clients, want at least 30", len(ids))
	}
	for id := range ids {
		rows := habits(id)
		if len(rows) == 0 {
			t.Errorf("%s: measured, but not in known.txt", id)
		}
		for i, row := range rows {
			last := i == len(rows)-1
			if (row.before == "") != last || i > 0 && !last && !older(rows[i-1].before, row.before) {
				t.Errorf("%s: row %d holds before %q, in no order", id, i, row.before)
			}
			if len(row.cells) != len(columns) || strings.Trim(row.cells, "pPeEfFiIs-?.") != "" {
				t.Fatalf("%s: cells %q", id, row.cells)
			}
			for column, name := range columns {
				if row.cell(column) == '.' && name != "sign" { // which is then not known
					t.Errorf("%s before %q under %s: left to a measurement that was not made", id, row.before, name)
				}
			}
		}
	}
	if habits("unheard-of") != nil {
		t.Error("rows for an unknown client")
	}
}

// TestMeasuredWins: what is measured is not typed. A letter of known.txt beside a
// measurement is for the client that reads its file again after minutes.
func TestMeasuredWins(t *testing.T) {
	for line := range strings.Lines(measured) {
		words := strings.Fields(line)
		if words[0] == "#" {
			continue
		}
		rows := habits(words[0])
		row := rows[index(rows, words[1])]
		for i, name := range columns[:len(words[2])] {
			switch known, letter := row.cells[i], words[2][i]; {
			case known == '.':
			case name == "file" && known == 'f' && letter == 'F' && strings.HasPrefix(row.why, "file: it reads it again every "):
			default:
				t.Errorf("%s %s under %s: known.txt says %c, and %c was measured", words[0], words[1], name, known, letter)
			}
		}
	}
}

// TestWorse: between two versions the worse of several measurements counts, in
// whatever order they are written.
func TestWorse(t *testing.T) {
	table := measured
	t.Cleanup(func() { measured = table })
	for _, lines := range []string{"go2 1.0 ppFe-\ngo2 2.0 PpfEi\n", "go2 2.0 PpfEi\ngo2 1.0 ppFe-\n"} {
		measured = lines
		rows := habits("go2")
		if got := string(rows[0].measured[:5]); len(rows) != 1 || got != "PpFE-" || rows[0].tried[0] != "1.0" {
			t.Errorf("of %q: %q from %q on, want PpFE- from 1.0 on", lines, got, rows[0].tried[0])
		}
	}
}

func TestUnder(t *testing.T) {
	for _, test := range []struct {
		id, version, delivery string
		want                  Outcome
		helps                 string
	}{
		{"botocore", "1.43.11", "auto", Outcome{Takes: Process, Outlives: true, Tried: true}, "auto endpoint process sign"},
		{"botocore", "1.19", "auto", Outcome{Takes: Process, Outlives: true}, "auto endpoint process sign"},
		{"botocore", "1.44.8", "imds", Outcome{Takes: IMDS, Tried: true, Why: "it extends credentials that have less than 25 minutes left, and uses expired ones"}, "auto endpoint process sign"},
		{"crt", "", "file", Outcome{Takes: file, Outlives: true, Shell: true, Why: "it reads it again every 15 minutes"}, "auto endpoint file process sign imds"},
		{"js2", "2.1693.0", "file", Outcome{Takes: file, Outlives: true, Tried: true, Why: "one call fails each time that credentials expire, and is retried"}, "auto endpoint file process"},
		{"minio-go", "7.0.46", "auto", Outcome{Takes: Process, Outlives: true, Tried: true}, "auto endpoint file process sign"},
		{"botocore", "", "file", Outcome{Takes: file, Tried: true}, "auto endpoint process sign"},
		{"java2", "2.20.53", "file", Outcome{Takes: file, Outlives: true, Shell: true}, "auto endpoint file process imds"},
		{"java2", "2.20.54", "file", Outcome{Takes: file, Shell: true}, "auto endpoint process imds"},
		{"java2", "", "file", Outcome{Takes: Unclear, Shell: true, Versions: true}, "auto endpoint process imds"},
		{"ruby", "3.168.1", "endpoint", Outcome{Takes: None, Shell: true, Tried: true, Why: "its variable came with 3.171.0"}, "auto process"},
		{"minio-go", "7.0.40", "auto", Outcome{Takes: endpoint, Outlives: true}, "auto endpoint"},
		{"minio-go", "", "auto", Outcome{Takes: either, Outlives: true}, "auto endpoint"},
		{"gdal", "3.6.2", "auto", Outcome{Takes: None, Tried: true}, "file sign"},
		{"minio-go-old", "6.0.57", "auto", Outcome{Takes: None, Why: "it knows neither a credential_process nor the endpoint's token, and signs nothing without keys"}, ""},
		{"s3fs-fuse", "", "env", Outcome{Takes: Environ}, "sign"},
		{"s3fs-fuse", "", "sign", Outcome{Takes: Local, Outlives: true, Why: "it reads its own password file, or variables, once; with -f it stays in the foreground, as it has to be for a restart"}, "sign"},
		{"mc", "", "sign", Outcome{Takes: None, Why: "it uses the keys of its aliases and MC_HOST_ variables, and no others"}, ""},
		{"duckdb", "1.4.4", "sign", Outcome{Takes: Local, Outlives: true, Tried: true, Why: "with --deliver sign it needs SET http_proxy = 'HOST:PORT', with what HTTPS_PROXY names"}, "sign"},
		{"js2", "2.1693.0", "sign", Outcome{Takes: None, Tried: true}, "auto endpoint file process"},
		{"s3cmd", "2.3.0", "env", Outcome{Takes: Environ}, "sign"},
		{"mc", "", "env", Outcome{Takes: None, Why: "it uses the keys of its aliases and MC_HOST_ variables, and no others"}, ""},
	} {
		c := Client{ID: test.id, Version: test.version}
		got, ok := c.Under(test.delivery)
		if diff := cmp.Diff(test.want, got); !ok || diff != "" {
			t.Errorf("%s %q under %s (-want +got):\n%s", test.id, test.version, test.delivery, diff)
		}
		if helps := strings.Join(c.Helps(), " "); helps != test.helps {
			t.Errorf("%s %q: helped by %q, want %q", test.id, test.version, helps, test.helps)
		}
	}
	if _, ok := (Client{ID: "botocore"}).Under("mail"); ok {
		t.Error("an outcome for an unknown delivery")
	}
}

func TestPythonStart(t *testing.T) {
	for line, want := range map[string]pythonProgram{
		"":                         {},
		"-":                        {},
		"-u job.py -m x":           {script: "job.py"},
		"-Im mod -s":               {module: "mod", noUser: true, noEnv: true},
		"-mmod":                    {module: "mod"},
		"-sE -W ignore -Xdev a.py": {script: "a.py", noUser: true, noEnv: true},
		"-Wsilent --check a.py":    {script: "a.py"},
		"-c x y":                   {text: "x"},
	} {
		if got := pythonStart(strings.Fields(line)); got != want {
			t.Errorf("pythonStart(%q) = %+v, want %+v", line, got, want)
		}
	}
}

func TestOlder(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"1.9", "1.10", true}, {"1.10", "1.9", false}, {"1.26", "1.26.3", true}, {"2.0.0-rc1", "2.0.0", false}, {"v1.2.3", "1.2.3", false},
		{"", "1", true}, {"7.0.40-0.20220101", "7.0.50", true}, {"99999999999999999999", "1", true},
	} {
		if got := older(test.a, test.b); got != test.want {
			t.Errorf("older(%q, %q) = %v, want %v", test.a, test.b, got, test.want)
		}
	}
}
