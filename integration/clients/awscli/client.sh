#!/usr/bin/env bash
# The AWS CLI, called again and again: every call is a new process, as in a shell
# script that runs for hours. Prints "ok -" (the CLI does not tell its key id) or
# "refused CODE" for each call. Ends when standard input does, or after $1 calls
# (0: never); between two calls it waits for $2 seconds (default: 2, for a call is a
# second of work).
set -u
count=${1:-0} pause=${2:-2}
done=0
while :; do
	case $((done % 2)) in
	0) call=(sts get-caller-identity) ;;
	1) call=(s3api list-buckets) ;;
	esac
	if said=$(aws "${call[@]}" 2>&1 >/dev/null </dev/null); then
		echo "ok -"
	else
		code=$(sed -n 's/.*An error occurred (\([A-Za-z]*\)).*/\1/p' <<<"$said")
		echo "refused ${code:-$(tr '\n' ' ' <<<"$said")}"
	fi
	done=$((done + 1))
	[ "$done" = "$count" ] && exit 0
	# read gives more than 128 for a time-out, 1 for the end of the input.
	read -r -t "$pause" _
	[ $? = 1 ] && exit 0
done
