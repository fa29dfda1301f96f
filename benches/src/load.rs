//! Many clients at once: each sends prepared requests over a connection of its own, one after the other.

use std::time::{Duration, Instant};

use crate::Result;
use crate::connection::Connection;

/// What so many clients saw.
#[derive(Debug)]
pub struct Load {
    /// Connections at once.
    pub clients: usize,
    /// From the first request to the last answer.
    pub seconds: f64,
    /// Of each request, ascending.
    pub times: Vec<Duration>,
}

impl Load {
    /// Sends `requests`, again and again, over `clients` connections to `address` for about `seconds`; at least one each.
    ///
    /// # Errors
    /// The first failure of any client.
    pub fn run(address: &str, requests: &[Vec<u8>], clients: usize, seconds: f64) -> Result<Self> {
        let began = Instant::now();
        let until = began + Duration::from_secs_f64(seconds);
        let work = |client: usize| -> Result<Vec<Duration>> {
            let mut connection = Connection::open(address)?;
            let mut times = Vec::new();
            // Each begins elsewhere, so that they do not ask the same at the same time.
            for request in requests.iter().cycle().skip(client * requests.len() / clients) {
                let sent = Instant::now();
                connection.exchange(request)?;
                times.push(sent.elapsed());
                if Instant::now() >= until {
                    break;
                }
            }
            Ok(times)
        };
        let mut times = std::thread::scope(|scope| -> Result<Vec<Duration>> {
            let threads: Vec<_> = (0..clients).map(|client| scope.spawn(move || work(client))).collect();
            let mut all = Vec::new();
            for thread in threads {
                all.extend(thread.join().map_err(|_| "a client panicked")??);
            }
            Ok(all)
        })?;
        times.sort_unstable();
        Ok(Self { clients, seconds: began.elapsed().as_secs_f64(), times })
    }

    /// Requests answered a second.
    pub fn per_second(&self) -> f64 {
        self.times.len() as f64 / self.seconds
    }

    /// The time that so many percent of the requests stayed within.
    pub fn percentile(&self, percent: usize) -> Duration {
        percentile(&self.times, percent)
    }
}

/// The time that so many percent of `times`, which ascend, stay within; zero when there is none.
pub fn percentile(times: &[Duration], percent: usize) -> Duration {
    let rank = (times.len() * percent).div_ceil(100).saturating_sub(1);
    times.get(rank).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_were_seen() {
        let times: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!([50, 95, 99, 100].map(|p| percentile(&times, p).as_millis()), [100, 190, 198, 200]);
        assert_eq!(percentile(&times[..1], 99), times[0]);
        assert_eq!(percentile(&[], 50), Duration::ZERO);
    }
}
