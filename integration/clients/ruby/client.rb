# One long-lived process on the AWS SDK for Ruby that takes turns between STS and
# S3, one call every half second, with clients that are made once. Prints
# "ok KEYID", with the key id that signed the request, or "refused CODE" for each
# call, and ends when standard input does. The argument "version" makes it print
# the SDK's version instead.

require "io/wait"

require "aws-sdk-core"
require "aws-sdk-s3"

if ARGV == ["version"]
  puts Aws::CORE_GEM_VERSION
  exit
end

$stdout.sync = true
options = { endpoint: ENV["CLIENT_ENDPOINT"], region: ENV.fetch("AWS_REGION") }.compact
sts = Aws::STS::Client.new(options)
s3 = Aws::S3::Client.new(options.merge(force_path_style: true))
calls = [-> { sts.get_caller_identity }, -> { s3.list_buckets }]
done = 0
loop do
  begin
    answer = calls[done % calls.size].call
    puts "ok #{answer.context.http_request.headers["authorization"][/Credential=([^\/]*)/, 1]}"
  rescue Aws::Errors::ServiceError => e
    puts "refused #{e.code}"
  rescue StandardError => e
    puts "refused #{e.class} #{e.message}"
  end
  done += 1
  break if $stdin.wait_readable(0.5) && $stdin.read(1).nil?
end
