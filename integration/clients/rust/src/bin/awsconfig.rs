//! One long-lived process on the AWS SDK for Rust that calls STS every half
//! second with a client that is made once, from the default configuration.
//! Prints "ok -" or "refused WHY" for each call, and ends when standard input
//! does.

use aws_config::BehaviorVersion;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let ended = brs_exec_clients::ended();
    let config = aws_config::load_defaults(BehaviorVersion::latest()).await;
    let client = aws_sdk_sts::Client::new(&config);
    loop {
        match client.get_caller_identity().send().await {
            Ok(_) => println!("ok -"),
            Err(error) => brs_exec_clients::refused(&error),
        }
        if !brs_exec_clients::pause(&ended).await {
            return;
        }
    }
}
