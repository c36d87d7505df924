#!/usr/bin/env bash
# Version 2 of the AWS CLI, called again and again: every call is a new process,
# as in a shell script that runs for hours. Prints "ok -" (the CLI does not tell
# its key id) or "refused CODE" for each call, and ends when standard input does.
# The version that Debian has knows no variable for the endpoint: CLIENT_ENDPOINT, if it is
# set, is for the option.
set -u
endpoint=(${CLIENT_ENDPOINT:+--endpoint-url "$CLIENT_ENDPOINT"})
done=0
while :; do
	case $((done % 2)) in
	0) call=(sts get-caller-identity) ;;
	1) call=(s3api list-buckets) ;;
	esac
	if said=$(/usr/bin/aws "${endpoint[@]}" "${call[@]}" 2>&1 >/dev/null </dev/null); then
		echo "ok -"
	else
		code=$(sed -n 's/.*An error occurred (\([A-Za-z]*\)).*/\1/p' <<<"$said")
		echo "refused ${code:-$(tr '\n' ' ' <<<"$said")}"
	fi
	done=$((done + 1))
	# read gives more than 128 for a time-out, 1 for the end of the input.
	read -r -t 0.5 _
	[ $? = 1 ] && exit 0
done
