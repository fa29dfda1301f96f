//! How many images a GPU runs at once: many, and only a few different numbers of them.

/// Images of 224x224 in one run: as many as fill a large GPU, and fewer where they would take more than a quarter of its
/// memory, at so many bytes an image: the largest maps of two layers in f32 and room for what a convolution unfolds.
const MAX_BATCH: usize = 128;
const IMAGE_BYTES: usize = 64 << 20;

/// Small batches have these sizes, larger ones powers of two.
const SMALL: [usize; 3] = [1, 4, 16];

/// Images in one run on a GPU with so many bytes of free memory: a power of two, so that a little less memory at the next
/// start is no new size.
pub(super) fn largest_batch(free: usize) -> usize {
    1 << (free / 4 / IMAGE_BYTES).clamp(1, MAX_BATCH).ilog2()
}

/// Images in the run that takes so many. Burn tries several kernels for each new size of a batch, which takes seconds: there
/// are only a few sizes, and places that stay empty cost a GPU less.
pub(super) fn room_for(count: usize, most: usize) -> usize {
    let small = SMALL.into_iter().find(|size| *size >= count);
    small.unwrap_or_else(|| count.next_power_of_two()).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_fit_the_memory() {
        assert_eq!([0, 8, 24, 141].map(|gib| largest_batch(gib << 30)), [1, 32, 64, 128]);
    }

    #[test]
    fn batches_have_few_sizes() {
        let sizes =
            |most: usize| [1, 2, 4, 5, 16, 17, 33, 62, 65, 128].map(|count| room_for(count.min(most), most));
        assert_eq!(sizes(128), [1, 4, 4, 16, 16, 32, 64, 64, 128, 128]);
        assert_eq!(sizes(62), [1, 4, 4, 16, 16, 32, 62, 62, 62, 62]);
        assert_eq!(sizes(1), [1; 10]);
    }
}
