#!/usr/bin/env bash
# Uploads a file again and again with each of the tools that are named, in turns, and prints "ok TOOL BYTES" with
# what the server then says of the object's size, or "failed TOOL …". Ends when standard input does, at
# the end of a turn.
#
#   uploads.sh FILE TOOL...
set -u
here=$(cd "$(dirname "$0")" && pwd)
file=$1
shift
aws s3api create-bucket --bucket jobs >/dev/null || { echo failed create-bucket; exit 1; }

upload() {
	case $1 in
	aws) aws s3 cp --only-show-errors "$file" "s3://jobs/a b+c/$1" ;;
	boto3) python "$here/boto3/upload.py" "$file" "a b+c/$1" ;;
	minio-go) miniogo plain jobs "a b+c/$1" "$file" ;;
	minio-go-trailer) miniogo trailer jobs "a b+c/$1" "$file" ;;
	s5cmd) s5cmd --log error --endpoint-url "$AWS_ENDPOINT_URL" cp "$file" "s3://jobs/a b+c/$1" ;;
	rclone) rclone copyto --s3-chunk-size 64M "$file" ":s3,provider=Other,env_auth=true,endpoint='$AWS_ENDPOINT_URL',region=us-east-1:jobs/a b+c/$1" ;;
	java) java -cp "$UPLOAD_JARS/*" "$here/s3a/Upload.java" "$file" "a b+c/$1" ;;
	esac
}

while :; do
	for tool; do
		if said=$(upload "$tool" 2>&1 </dev/null); then
			echo "ok $tool $(aws s3api head-object --bucket jobs --key "a b+c/$tool" --query ContentLength)"
			aws s3api delete-object --bucket jobs --key "a b+c/$tool"
		else
			echo "failed $tool" $said
		fi
	done
	# read gives more than 128 for a time-out, 1 for the end of the input.
	read -r -t 0.1 _
	[ $? = 1 ] && exit 0
done
