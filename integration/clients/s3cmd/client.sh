#!/usr/bin/env bash
# s3cmd, called again and again, with the one variable that makes it read keys
# from a credentials file. Prints "ok -" or "refused WHY" for each call, and ends
# when standard input does.
set -u
export AWS_CREDENTIAL_FILE=$AWS_SHARED_CREDENTIALS_FILE
address=${CLIENT_ENDPOINT:-}
address=${address#http://}
options=(${address:+--no-ssl "--host=$address" "--host-bucket=$address"})
while :; do
	if said=$(s3cmd "${options[@]}" ls s3://jobs/ 2>&1 >/dev/null </dev/null); then
		echo "ok -"
	else
		echo "refused $(tail -n 1 <<<"$said")"
	fi
	# read gives more than 128 for a time-out, 1 for the end of the input.
	read -r -t 0.5 _
	[ $? = 1 ] && exit 0
done
