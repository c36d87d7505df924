//! What the clients have in common: when to stop, and what to print.

use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

/// Becomes true when standard input ends.
pub fn ended() -> Arc<AtomicBool> {
    let ended = Arc::new(AtomicBool::new(false));
    let told = ended.clone();
    std::thread::spawn(move || {
        let mut sink = Vec::new();
        let _ = std::io::stdin().read_to_end(&mut sink);
        told.store(true, Ordering::SeqCst);
    });
    ended
}

/// Waits half a second, and tells whether to go on.
pub async fn pause(ended: &AtomicBool) -> bool {
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    !ended.load(Ordering::SeqCst)
}

/// One line for a call that failed: the error and what it came from.
pub fn refused(error: &dyn std::error::Error) {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(deeper) = source {
        text = format!("{text}: {deeper}");
        source = deeper.source();
    }
    println!("refused {}", text.replace('\n', " "));
}
