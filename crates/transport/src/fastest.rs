//! How far away a server is: the fastest of a few round trips, since whatever else goes on only makes them longer.

use std::time::{Duration, Instant};

/// How often a server is asked.
const TIMES: usize = 5;

/// The answer that came fastest.
#[derive(Debug)]
pub struct Fastest<T> {
    /// What was answered.
    pub answer: T,
    /// When it was asked.
    pub asked: Instant,
    /// How long the answer took.
    pub round_trip: Duration,
}

impl<T> Fastest<T> {
    /// How long after this time the server made its answer, about: the middle between question and answer.
    #[must_use]
    pub fn after(&self, began: Instant) -> Duration {
        self.asked.saturating_duration_since(began) + self.round_trip / 2
    }
}

/// Asks a server five times, one after the other, and gives the answer that came fastest.
///
/// # Errors
/// What the first question that fails says.
pub async fn fastest<T, E, F: Future<Output = Result<T, E>>>(
    mut ask: impl FnMut() -> F,
) -> Result<Fastest<T>, E> {
    let mut best = timed(ask()).await?;
    for _ in 1..TIMES {
        let next = timed(ask()).await?;
        if next.round_trip < best.round_trip {
            best = next;
        }
    }
    Ok(best)
}

async fn timed<T, E>(asking: impl Future<Output = Result<T, E>>) -> Result<Fastest<T>, E> {
    let asked = Instant::now();
    let answer = asking.await?;
    Ok(Fastest { answer, asked, round_trip: asked.elapsed() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_answer_that_came_fastest_is_given() {
        let waits = [30, 0, 30, 30, 30];
        let mut turns = waits.iter().enumerate();
        let fastest = fastest(|| {
            let (turn, wait) = turns.next().unwrap();
            async move {
                tokio::time::sleep(Duration::from_millis(*wait)).await;
                Ok::<_, ()>(turn)
            }
        });
        let fastest = fastest.await.unwrap();
        assert!(turns.next().is_none(), "as often as it says");
        assert_eq!(fastest.answer, 1);
    }

    #[tokio::test]
    async fn a_question_that_fails_is_the_last() {
        let mut asked = 0;
        let failed = fastest(|| {
            asked += 1;
            std::future::ready(if asked == 2 { Err("gone") } else { Ok(()) })
        });
        assert_eq!(failed.await.unwrap_err(), "gone");
        assert_eq!(asked, 2);
    }
}
