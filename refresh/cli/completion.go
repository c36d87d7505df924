package cli

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"brs-exec.example/brs-exec/refresh/plan"
)

// The scripts complete subcommands and flags, and behind "--" whatever the
// shell completes for the command that stands there.
var completions = map[string]string{
	"bash": `_brs_exec() {
  local i
  for ((i = 1; i < COMP_CWORD; i++)); do
    if [[ ${COMP_WORDS[i]} == -- ]]; then
      _command_offset $((i + 1)) 2>/dev/null || COMPREPLY=($(compgen -c -f -- "${COMP_WORDS[COMP_CWORD]}"))
      return
    fi
  done
  COMPREPLY=($(compgen -W '@COMMANDS @FLAGS --' -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _brs_exec brs-exec
`,
	"zsh": `#compdef brs-exec
_brs_exec() {
  local i=${words[(i)--]}
  if (( i < CURRENT )); then
    shift $i words
    (( CURRENT -= i ))
    _normal
    return
  fi
  compadd -- @COMMANDS @FLAGS --
}
if [[ $funcstack[1] == _brs-exec ]]; then # a file of that name in $fpath, which is run to complete
  _brs_exec
else
  compdef _brs_exec brs-exec
fi
`,
	"fish": `complete -c brs-exec -n 'not contains -- -- (commandline -opc)' -f -a '@COMMANDS @FLAGS --'
complete -c brs-exec -n 'contains -- -- (commandline -opc)' -a '(__fish_complete_subcommand --fcs-skip=(contains -i -- -- (commandline -opc)))'
`,
}

func (p *program) completionCommand() *cli.Command {
	return &cli.Command{
		Name:            "completion",
		Usage:           "print the completion script of a shell: bash, zsh, fish",
		ArgsUsage:       "SHELL",
		Description:     "For a file that bash, zsh or fish reads at its start:\n  source <(brs-exec completion bash)\n  source <(brs-exec completion zsh)\n  brs-exec completion fish | source",
		HideHelpCommand: true,
		OnUsageError:    usageError,
		Action: func(c *cli.Context) error {
			script, ok := completions[c.Args().First()]
			if !ok || c.NArg() != 1 {
				return &plan.Error{Text: "completion is for one of bash, zsh, fish", Hint: "source <(brs-exec completion bash)"}
			}
			app := c.Lineage()[1].App
			var commands, flags []string
			for _, command := range app.VisibleCommands() {
				commands = append(commands, command.Name)
			}
			for _, f := range plan.AllFlags() {
				flags = append(flags, "--"+f.Name)
			}
			_, err := fmt.Fprint(p.stdout, strings.NewReplacer(
				"@COMMANDS", strings.Join(commands, " "), "@FLAGS", strings.Join(flags, " "),
			).Replace(script))
			return err
		},
	}
}
