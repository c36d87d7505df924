#!/usr/bin/env bash
# curl, which signs by itself, with keys that are read once: prints "ok KEYID" or "refused CODE" for
# each call of STS, by HTTP/2 if the server has it, until standard input ends. $1 is curl.
set -u
curl=$1 id=$AWS_ACCESS_KEY_ID secret=$AWS_SECRET_ACCESS_KEY
unset "${!AWS_@}"
while :; do
	# The secret goes through standard input: an argument could be read by others.
	answer=$(printf 'user = "%s:%s"\n' "$id" "$secret" |
		"$curl" --silent --show-error --http2 --config - --aws-sigv4 "aws:amz:us-east-1:sts" --write-out ' HTTP/%{http_version}' \
			--data 'Action=GetCallerIdentity&Version=2011-06-15' https://sts.us-east-1.amazonaws.com/ 2>&1)
	case $answer in
	*"<GetCallerIdentityResult>"*" HTTP/2") echo "ok $id" ;;
	*"<Code>"*) answer=${answer#*<Code>} && echo "refused ${answer%%</Code>*}" ;;
	*) echo "refused $answer" ;;
	esac
	# read gives more than 128 for a time-out, 1 for the end of the input.
	read -r -t 0.2 _
	[ $? = 1 ] && exit 0
done
