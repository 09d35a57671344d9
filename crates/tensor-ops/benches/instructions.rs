//! Every kernel on named shapes once, for valgrind to count its instructions: `cargo xtask bench --instructions`.
//!
//! It names each call whose instructions are to be counted; they are those within [`counted`].
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]
#![allow(clippy::print_stdout, reason = "the names are the result")]

#[allow(dead_code, reason = "what a rate needs is not used here")]
mod calls;

use std::hint::black_box;
use tensor_ops::Kernels;

fn main() {
    let kernels = Kernels::from_env().unwrap();
    calls::for_each(|call| {
        let mut output = vec![f32::NAN; call.len];
        // The first call looks up what the processor can do.
        (call.run)(kernels, &mut output).unwrap();
        counted(&mut || (call.run)(kernels, black_box(&mut output)).unwrap());
        println!("{} {}", call.group, call.shape);
    });
}

/// A function of its own, so that it can be told by its name.
#[inline(never)]
fn counted(work: &mut dyn FnMut()) {
    work();
    // A jump in place of the call would leave this function first.
    black_box(());
}
