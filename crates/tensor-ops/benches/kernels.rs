//! The speed of every kernel on named shapes, in multiply-adds ("elem") a second; of pooling, in values.
//!
//! `cargo bench -p tensor-ops --bench kernels`, with a filter such as `conv-forward` behind `--`. Each result is
//! compared with the naive loops before it is timed; `cargo test --benches` stops there.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod calls;

use calls::Call;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use tensor_ops::Kernels;

/// Checks a call against the naive loops and times it, for each of the kernels.
fn measure(criterion: &mut Criterion, call: &Call) {
    let mut expected = vec![0.0; call.len];
    (call.run)(Kernels::NAIVE, &mut expected).unwrap();
    let largest = expected.iter().fold(0.0f32, |max, v| max.max(v.abs()));
    let mut group = criterion.benchmark_group(call.group);
    group.throughput(Throughput::Elements(call.elements));
    for kernels in Kernels::available().filter(|&kernels| kernels != Kernels::NAIVE) {
        let mut output = vec![f32::NAN; call.len];
        (call.run)(kernels, &mut output).unwrap();
        let near = output.iter().zip(&expected).all(|(a, b)| (a - b).abs() <= 1e-4 * largest);
        assert!(near, "{} {}: {kernels} differs from naive", call.group, call.shape);
        group.bench_function(BenchmarkId::new(call.shape, kernels), |bencher| {
            bencher.iter(|| (call.run)(kernels, black_box(&mut output)).unwrap());
        });
    }
    group.finish();
}

fn all(criterion: &mut Criterion) {
    calls::for_each(|call| measure(criterion, &call));
}

criterion_group!(benches, all);
criterion_main!(benches);
