//! A task that is polled by hand, and a wait that is as long as a test wants it.
#![allow(dead_code, reason = "each test program uses its part")]

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

/// Polls `task` once.
pub(crate) fn poll<T>(task: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    task.poll(&mut Context::from_waker(Waker::noop()))
}

/// Polls `task` until it is ready: the output, and how often it was not.
///
/// # Panics
/// If it is never ready.
pub(crate) fn drive<T>(task: impl Future<Output = T>) -> (T, usize) {
    let mut task = pin!(task);
    for waited in 0..1_000_000 {
        if let Poll::Ready(output) = poll(task.as_mut()) {
            return (output, waited);
        }
    }
    panic!("it is never ready");
}

/// Polls `task` so many times and drops it, unless it is ready before.
pub(crate) fn drop_after<T>(polls: usize, task: impl Future<Output = T>) -> Option<T> {
    let mut task = pin!(task);
    for _ in 0..polls {
        if let Poll::Ready(output) = poll(task.as_mut()) {
            return Some(output);
        }
    }
    None
}

/// Is not ready so many times.
pub(crate) async fn wait(mut times: usize) {
    poll_fn(|context| {
        if times == 0 {
            return Poll::Ready(());
        }
        times -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
