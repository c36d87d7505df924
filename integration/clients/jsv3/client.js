// One long-lived process on version 3 of the AWS SDK for JavaScript that calls
// STS every half second with a client that is made once. Prints "ok KEYID", with
// the key id that signed the request, or "refused CODE" for each call, and ends
// when standard input does. The argument "version" makes it print the SDK's
// version instead. NODE_PATH says where the SDK is.
"use strict";

if (process.argv[2] === "version") {
  console.log(require("@aws-sdk/client-sts/package.json").version);
  process.exit();
}

const { STSClient, GetCallerIdentityCommand } = require("@aws-sdk/client-sts");

let signer = "";
const client = new STSClient({ endpoint: process.env.CLIENT_ENDPOINT });
client.middlewareStack.add(
  (next) => (args) => {
    const header = args.request.headers.authorization || "";
    signer = (header.match(/Credential=([^/]*)/) || ["", ""])[1];
    return next(args);
  },
  { step: "finalizeRequest", priority: "low" },
);

let ended = false;
process.stdin.on("end", () => (ended = true)).resume();

async function main() {
  while (!ended) {
    try {
      await client.send(new GetCallerIdentityCommand({}));
      console.log("ok", signer);
    } catch (error) {
      console.log("refused", error.name || error.code);
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  process.exit();
}

main();
