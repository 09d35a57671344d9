//! Augmenting an image allocates nothing.

use layers::{Augment, Augmentation};
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

#[test]
fn an_image_is_changed_without_allocation() {
    let augmentation = Augmentation::new([
        Augment::Flip,
        Augment::Rotate { degrees: 10.0 },
        Augment::Shift { pixels: 2.0 },
        Augment::Scale { factor: 0.1 },
        Augment::Shear { degrees: 10.0 },
        Augment::Elastic { pixels: 1.4, smoothness: 4.0 },
        Augment::Cutout { rows: 8, columns: 8 },
    ]);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let _profiler = dhat::Profiler::builder().testing().build();
    for shape in [[28, 28, 1], [32, 32, 3]] {
        let mut image = vec![1.0; shape.iter().product()];
        let mut scratch = vec![0.0; augmentation.scratch(shape)];
        let before = dhat::HeapStats::get().total_blocks;
        (0..20).for_each(|_| augmentation.apply(shape, &mut rng, &mut image, &mut scratch));
        assert_eq!(dhat::HeapStats::get().total_blocks - before, 0, "{shape:?}");
    }
}
