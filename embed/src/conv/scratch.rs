//! Memory for work in progress. Taken by an item while it runs and given back, so that there is never more of it than
//! threads, and no item waits for fresh pages from the system.

use parking_lot::Mutex;

use crate::kernel::Line;

/// Buffers that nobody uses at the moment.
#[derive(Default)]
pub(crate) struct Scratch(Mutex<Vec<[Buffer; 2]>>);

/// Grows to the largest size that was asked for.
#[derive(Default)]
pub(crate) struct Buffer(Vec<Line>);

impl Buffer {
    /// That many lines of whatever was there before.
    pub(crate) fn lines(&mut self, count: usize) -> &mut [Line] {
        if self.0.len() < count {
            self.0.resize(count, Line::ZERO);
        }
        &mut self.0[..count]
    }
}

impl Scratch {
    /// Lends two buffers.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut [Buffer; 2]) -> R) -> R {
        let mut buffers = self.0.lock().pop().unwrap_or_default();
        let result = work(&mut buffers);
        self.0.lock().push(buffers);
        result
    }
}
