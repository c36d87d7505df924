#!/usr/bin/env bash
# A program that knows no SDK: before every call it reads the keys of section
# [brs-static] from the credentials file by itself, and lets curl sign. Prints
# "ok KEYID" or "refused CODE". Ends when standard input does, or after $1 calls.
set -u
count=${1:-0}
done=0

# keys prints key id, secret and token, read in one pass over the file.
keys() {
	awk -F ' *= *' '
		/^\[/ { inside = ($0 == "[brs-static]") }
		inside && $1 == "aws_access_key_id" { id = $2 }
		inside && $1 == "aws_secret_access_key" { secret = substr($0, index($0, "=") + 1) }
		inside && $1 == "aws_session_token" { token = substr($0, index($0, "=") + 1) }
		END { gsub(/ /, "", secret); gsub(/ /, "", token); print id, secret, token }
	' "$AWS_SHARED_CREDENTIALS_FILE"
}

while :; do
	read -r id secret token < <(keys)
	# The secrets go through standard input: an argument could be read by others.
	answer=$(printf 'user = "%s:%s"\nheader = "X-Amz-Security-Token: %s"\n' "$id" "$secret" "$token" |
		curl --silent --show-error --max-time 10 --config - \
			--aws-sigv4 "aws:amz:${AWS_REGION:-us-east-1}:sts" \
			--data 'Action=GetCallerIdentity&Version=2011-06-15' \
			"${CLIENT_ENDPOINT:-https://sts.${AWS_REGION:-us-east-1}.amazonaws.com}/" 2>&1)
	case $answer in
	*"<GetCallerIdentityResult>"*) echo "ok $id" ;;
	*"<Code>"*) answer=${answer#*<Code>} && echo "refused ${answer%%</Code>*}" ;;
	*) echo "refused $answer" ;;
	esac
	done=$((done + 1))
	[ "$done" = "$count" ] && exit 0
	# read gives more than 128 for a time-out, 1 for the end of the input.
	read -r -t 0.5 _
	[ $? = 1 ] && exit 0
done
