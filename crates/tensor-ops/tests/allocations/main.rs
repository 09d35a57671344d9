//! No operation allocates, whichever kernels run. The counter counts everything in the process, so this runs
//! without the test harness, whose own thread allocates when it likes.

#[path = "../common/mod.rs"]
mod common;
mod elementwise;
mod layers;

use tensor_ops::Kernels;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

fn main() {
    nothing_allocates(layers::run());
    nothing_allocates(elementwise::run());
}

fn nothing_allocates(mut run: impl FnMut(Kernels)) {
    Kernels::available().for_each(&mut run);

    let _profiler = dhat::Profiler::builder().testing().build();
    for kernels in Kernels::available() {
        run(kernels);
        let blocks = dhat::HeapStats::get().total_blocks;
        assert_eq!(blocks, 0, "{kernels} allocated");
    }
    // The counter does count.
    drop(std::hint::black_box(Box::new(0)));
    assert_eq!(dhat::HeapStats::get().total_blocks, 1);
}
