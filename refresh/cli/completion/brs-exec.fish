# fish completion for brs-exec
function __brs_exec_words
    set -l typed (commandline -opc)
    set -l current (commandline -ct)
    set -l exe (command -s brs-exec)
    or set exe (string replace -r '^~(?=/)' $HOME -- $typed[1])
    set -e typed[1]
    set -l plain (string unescape -- $current)
    or set plain $current
    set -l lines ($exe __complete $typed "$plain" 2>/dev/null)
    set -l option (string match -r '^--[^=]*=' -- "$current")
    set -l value (string replace -r '^--[^=]*=' '' -- "$current")
    switch "$lines[1]"
        case files
            printf '%s\n' "$option"(__fish_complete_path "$value")
        case dirs
            printf '%s\n' "$option"(__fish_complete_directories "$value")
        case commands
            printf '%s\n' "$option"(complete -C "$value")
        case words
            set -e lines[1]
            printf '%s\n' $lines
    end
end

function __brs_exec_command
    set -l typed (commandline -opc)
    set -l current (commandline -ct)
    set -e typed[1..(contains -i -- -- $typed)]
    complete -C (string join ' ' -- (string escape -- $typed) "$current")
end

complete -c brs-exec -f
complete -c brs-exec -n 'not contains -- -- (commandline -opc)' -a '(__brs_exec_words)'
complete -c brs-exec -n 'contains -- -- (commandline -opc)' -a '(__brs_exec_command)'
