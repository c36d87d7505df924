# bash completion for brs-exec
_brs_exec() {
  local i n=0 word gap rest=${COMP_LINE:0:COMP_POINT} lead='' exe line quote=''
  local -a words=()
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    if [[ ${COMP_WORDS[i]} == -- ]]; then # what the command completes itself
      if ! _command_offset $((i + 1)) 2>/dev/null; then
        local IFS=$'\n'
        if ((i + 1 == COMP_CWORD)); then
          COMPREPLY=($(compgen -c -- "${COMP_WORDS[COMP_CWORD]}"))
        else
          compopt -o default 2>/dev/null || COMPREPLY=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}"))
        fi
      fi
      return
    fi
  done
  # Bash splits words at : and = as well. What no blank stands between is one word.
  for ((i = 0; i <= COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    if ((i == COMP_CWORD)); then
      gap=${rest%%[![:space:]]*} word=${rest#"${rest%%[![:space:]]*}"}
    else
      gap=${rest%%"$word"*} rest=${rest#*"$word"}
    fi
    if ((i > 0)) && [[ -z $gap ]]; then
      lead=${words[n - 1]}
      [[ $word != [:=] ]] || lead+=$word
      words[n - 1]+=$word
    else
      lead=''
      words[n++]=$word
    fi
  done
  for ((i = 0; i < n; i++)); do # without quotes
    word=${words[i]}
    case $word in
    [\"\']*) word=${word:1} word=${word%"${words[i]:0:1}"} ;;
    *) word=${word//\\/} ;;
    esac
    ((i < n - 1)) || [[ ${words[i]} != [\"\']* ]] || quote=${words[i]:0:1}
    words[i]=$word
  done
  local current=${words[n - 1]}
  exe=$(type -P brs-exec) || exe=${words[0]/#\~/$HOME}
  {
    read -r line
    case $line in
    files) compopt -o default 2>/dev/null || line=$(compgen -f -- "${current#"$lead"}") ;;
    dirs) compopt -o dirnames 2>/dev/null || line=$(compgen -d -- "${current#"$lead"}") ;;
    commands) line=$(compgen -c -- "${current#"$lead"}") ;;
    esac
    case $line in
    words)
      while IFS=$'\t' read -r word line; do
        [[ $word == "$current"* ]] || continue
        word=${word#"$lead"}
        if [[ -z $quote ]]; then
          printf -v word %q "$word"
        elif [[ $word == *"$quote"* || $quote == \" && $word == *[\\\$\`!]* ]]; then
          continue # bash would run $(…) between these quotes
        fi
        COMPREPLY+=("$word")
      done
      if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[:=] ]]; then
        compopt -o nospace 2>/dev/null
      fi
      ;;
    files | dirs | '') ;;
    *)
      local IFS=$'\n'
      COMPREPLY=($line)
      ;;
    esac
  } < <("$exe" __complete "${words[@]:1}" 2>/dev/null)
}
complete -F _brs_exec brs-exec
