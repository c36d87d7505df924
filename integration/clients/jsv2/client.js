// One long-lived process on version 2 of the AWS SDK for JavaScript that takes
// turns between STS and S3, one call every half second, with clients that are
// made once. Prints "ok KEYID", with the key id that signed the request, or
// "refused CODE" for each call, and ends when standard input does. The argument
// "version" makes it print the SDK's version instead. NODE_PATH says where the
// SDK is.
"use strict";

process.env.AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE = "1";
const AWS = require("aws-sdk");

if (process.argv[2] === "version") {
  console.log(AWS.VERSION);
  process.exit();
}

const options = { endpoint: process.env.CLIENT_ENDPOINT, region: process.env.AWS_REGION };
const sts = new AWS.STS(options);
const s3 = new AWS.S3({ ...options, s3ForcePathStyle: true, signatureVersion: "v4" });
const calls = [() => sts.getCallerIdentity(), () => s3.listBuckets()];

let ended = false;
process.stdin.on("end", () => (ended = true)).resume();

async function main() {
  for (let done = 0; !ended; done++) {
    let signer = "";
    const request = calls[done % calls.length]();
    request.on("send", (response) => {
      const header = response.request.httpRequest.headers.Authorization || "";
      signer = (header.match(/Credential=([^/]*)/) || ["", ""])[1];
    });
    try {
      await request.promise();
      console.log("ok", signer);
    } catch (error) {
      console.log("refused", error.code);
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  process.exit();
}

main();
