//! One long-lived process on the object_store crate, which delta-rs, DataFusion
//! and others read S3 with. It puts and gets an object every half second with a
//! store that is made once, from the environment. Prints "ok -" or "refused WHY"
//! for each call, and ends when standard input does.

use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::ObjectStore;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let ended = brs_exec_clients::ended();
    let mut builder = AmazonS3Builder::from_env().with_bucket_name("jobs");
    if std::env::var_os("CLIENT_ENDPOINT").is_some() {
        builder = builder.with_allow_http(true);
    }
    let store = builder.build().expect("a store");
    let path = Path::from("rust/1");
    loop {
        let outcome = match store.put_opts(&path, "x".into(), Default::default()).await {
            Ok(_) => store.get_opts(&path, Default::default()).await.map(|_| ()),
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => println!("ok -"),
            Err(error) => brs_exec_clients::refused(&error),
        }
        if !brs_exec_clients::pause(&ended).await {
            return;
        }
    }
}
