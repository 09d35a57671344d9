//! Rayon's threads, kept awake.
//!
//! Between two regions of a pass that are shared out, and from the end of one thread's part of a region to that of
//! another's, there are microseconds. A thread that has fallen asleep takes tens of them to wake, and rayon's threads
//! soon do. So within a pass a thread without work goes on looking for some, for a while: each time it lets another
//! program have the core, and its patience ends.

use rayon::Yield;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long a thread that finds nothing to do stays awake.
const PATIENCE: Duration = Duration::from_micros(200);

/// Works on whatever there is until `is_done`, or until there was nothing for a while.
fn work_until(is_done: &AtomicBool) {
    let mut idle_since = Instant::now();
    while !is_done.load(Ordering::Relaxed) && idle_since.elapsed() < PATIENCE {
        match rayon::yield_now() {
            Some(Yield::Executed) => idle_since = Instant::now(),
            _ => thread::yield_now(),
        }
    }
}

/// Does both, perhaps at once.
pub(crate) fn join(mine: impl FnOnce() + Send, theirs: impl FnOnce() + Send) {
    let is_done = AtomicBool::new(false);
    let mine = || {
        mine();
        work_until(&is_done);
    };
    let theirs = || {
        theirs();
        is_done.store(true, Ordering::Relaxed);
    };
    rayon::join(mine, theirs);
}

/// Does `work` while up to so many other threads stay awake, to take what it shares out.
pub(super) fn with_helpers(most: usize, work: impl FnOnce() + Send) {
    let helpers = most.min(rayon::current_num_threads() - 1);
    if helpers == 0 {
        return work();
    }
    let pass = Pass { thread: AtomicUsize::new(usize::MAX), is_done: AtomicBool::new(false) };
    let work = || {
        let thread = rayon::current_thread_index().expect("a join runs on a thread of the pool");
        pass.thread.store(thread, Ordering::Relaxed);
        work();
        pass.is_done.store(true, Ordering::Relaxed);
    };
    rayon::join(work, || pass.help(helpers));
}

/// Work that other threads help with.
struct Pass {
    /// Whose it is. That thread may come to help too, while it waits for others: then it has something to return to.
    thread: AtomicUsize,
    is_done: AtomicBool,
}

impl Pass {
    /// Has so many threads help.
    fn help(&self, threads: usize) {
        if threads > 1 {
            rayon::join(|| self.help(1), || self.help(threads - 1));
        } else if rayon::current_thread_index() != Some(self.thread.load(Ordering::Relaxed)) {
            work_until(&self.is_done);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::AssertUnwindSafe;

    /// Counts to `count` by halves, the second half of each on whichever thread is free.
    fn count(counted: &AtomicUsize, count: usize) {
        match count {
            1 => _ = counted.fetch_add(1, Ordering::Relaxed),
            _ => join(|| self::count(counted, count / 2), || self::count(counted, count - count / 2)),
        }
    }

    #[test]
    fn all_work_is_done_by_however_many_threads() {
        for threads in [1, 2, 3, 9] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            for helpers in [0, 1, 2, 15] {
                let counted = AtomicUsize::new(0);
                pool.install(|| with_helpers(helpers, || count(&counted, 1000)));
                assert_eq!(counted.into_inner(), 1000, "{threads} threads, {helpers} helpers");
            }
        }
        let counted = AtomicUsize::new(0);
        with_helpers(1, || count(&counted, 1000));
        assert_eq!(counted.into_inner(), 1000, "called from a thread outside the pool");
    }

    #[test]
    fn a_panic_ends_the_helpers_too() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        let work = || with_helpers(2, || join(|| (), || panic!("as asked")));
        let panicked = std::panic::catch_unwind(AssertUnwindSafe(|| pool.install(work)));
        assert!(panicked.is_err());
        let counted = AtomicUsize::new(0);
        pool.install(|| with_helpers(2, || count(&counted, 10)));
        assert_eq!(counted.into_inner(), 10, "the pool goes on");
    }
}
