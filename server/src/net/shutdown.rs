//! The one switch that ends the server. It moves in one direction: running, stopping (requests in flight finish),
//! aborting (nothing is waited for).

use std::sync::Arc;

use tokio::sync::watch;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Running,
    Stopping,
    Aborting,
}

/// The switch. Clones are the same switch.
#[derive(Debug, Clone)]
pub struct Shutdown {
    phase: Arc<watch::Sender<Phase>>,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { phase: Arc::new(watch::Sender::new(Phase::Running)) }
    }
}

impl Shutdown {
    /// Asks for the end. Returns at once; repeated calls change nothing.
    pub fn trigger(&self) {
        self.advance(Phase::Stopping);
    }

    /// Ends the waiting for requests in flight too.
    pub fn abort(&self) {
        self.advance(Phase::Aborting);
    }

    /// Whether the end was asked for. Cheap: threads may ask before each unit of work.
    pub fn is_triggered(&self) -> bool {
        *self.phase.borrow() >= Phase::Stopping
    }

    /// Returns when the end is asked for.
    pub async fn triggered(&self) {
        self.reached(Phase::Stopping).await;
    }

    /// Returns when nothing is to be waited for any more.
    pub(crate) async fn aborted(&self) {
        self.reached(Phase::Aborting).await;
    }

    fn advance(&self, to: Phase) {
        self.phase.send_if_modified(|phase| {
            let forward = *phase < to;
            *phase = (*phase).max(to);
            forward
        });
    }

    async fn reached(&self, phase: Phase) {
        let mut receiver = self.phase.subscribe();
        // An error means that the sender is gone, which `self` excludes.
        let _ = receiver.wait_for(|now| *now >= phase).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn moves_forward_only_and_wakes_all_clones() {
        let switch = Shutdown::default();
        let waiting = tokio::spawn({
            let switch = switch.clone();
            async move { switch.triggered().await }
        });
        assert!(!switch.is_triggered());
        switch.abort();
        switch.trigger();
        waiting.await.unwrap();
        switch.aborted().await;
        assert!(switch.is_triggered());
    }
}
