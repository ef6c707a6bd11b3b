//! The only place that spawns: every task is tracked, told to stop, and ended.
//!
//! Work is what the service owes: a drain waits for it, and says so if some was left. What waits for
//! a client alone is not: a connection, or a last word. A client that never reads would hold it for
//! ever, and nothing is missing when it is ended.

use std::time::Duration;

use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// The tasks of one service. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    work: TaskTracker,
    clients: TaskTracker,
    stopping: CancellationToken,
    killed: CancellationToken,
}

/// Work that is done inside a task of a client, until it is dropped.
#[derive(Debug)]
pub struct Working {
    _token: TaskTrackerToken,
}

impl Tasks {
    /// No tasks yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs work until it ends or the tasks are killed. It should look at
    /// [`stopping`](Self::stopping) wherever it waits.
    pub fn spawn<F>(&self, task: F)
    where
        F: Future + Send + 'static,
        F::Output: Send,
    {
        self.spawn_on(&self.work, task);
    }

    /// Runs what waits for a client alone, until it ends or the tasks are killed.
    pub fn spawn_for_client<F>(&self, task: F)
    where
        F: Future + Send + 'static,
        F::Output: Send,
    {
        self.spawn_on(&self.clients, task);
    }

    /// Says that a task of a client works until the answer is dropped.
    pub fn working(&self) -> Working {
        Working {
            _token: self.work.token(),
        }
    }

    fn spawn_on<F>(&self, tracker: &TaskTracker, task: F)
    where
        F: Future + Send + 'static,
        F::Output: Send,
    {
        let killed = self.killed.clone();
        tracker.spawn(async move {
            killed.run_until_cancelled_owned(task).await;
        });
    }

    /// Tells a task that it shall finish what it does and end.
    pub fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// Tells all tasks to stop and, after a grace, ends those that did not. Says whether all work
    /// was done.
    pub async fn shutdown(&self, grace: Duration) -> bool {
        self.stopping.cancel();
        self.work.close();
        self.clients.close();
        let in_time = tokio::time::timeout(grace, self.ended()).await.is_ok();
        let is_done = self.work.is_empty();
        if !in_time {
            let (work, clients) = (self.work.len(), self.clients.len());
            tracing::info!(work, clients, "what is left is ended");
        }
        self.kill();
        self.ended().await;
        is_done
    }

    /// Waits until nothing is left. A client that is let in last may still bring work.
    async fn ended(&self) {
        loop {
            self.work.wait().await;
            self.clients.wait().await;
            if self.work.is_empty() {
                return;
            }
        }
    }

    /// Ends all tasks when the guard is dropped.
    pub fn kill_on_drop(&self) -> DropGuard {
        self.killed.clone().drop_guard()
    }

    /// Ends all tasks where they wait.
    pub fn kill(&self) {
        self.stopping.cancel();
        self.killed.cancel();
    }
}

/// Lets HTTP connections spawn their streams here.
impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, task: F) {
        self.spawn_for_client(task);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER: Duration = Duration::from_secs(60);
    const SOON: Duration = Duration::from_millis(1);

    #[tokio::test]
    async fn tasks_that_look_end_by_themselves_and_others_are_ended() {
        let tasks = Tasks::new();
        let stopping = tasks.stopping();
        tasks.spawn(async move { stopping.cancelled().await });
        assert!(tasks.shutdown(NEVER).await);

        let tasks = Tasks::new();
        tasks.spawn(std::future::pending::<()>());
        assert!(!tasks.shutdown(SOON).await);
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_ended_and_is_no_work_left() {
        let tasks = Tasks::new();
        tasks.spawn_for_client(std::future::pending::<()>());
        assert!(tasks.shutdown(SOON).await);
    }

    #[tokio::test]
    async fn work_in_a_task_of_a_client_is_work() {
        let tasks = Tasks::new();
        let working = tasks.working();
        tasks.spawn_for_client(async move {
            std::future::pending::<()>().await;
            drop(working);
        });
        assert!(!tasks.shutdown(SOON).await);
    }

    #[tokio::test]
    async fn what_a_client_brings_late_is_waited_for() {
        let tasks = Tasks::new();
        let (stopping, inner) = (tasks.stopping(), tasks.clone());
        let (done, is_done) = std::sync::mpsc::channel();
        tasks.spawn_for_client(async move {
            stopping.cancelled().await;
            inner.spawn(async move {
                tokio::task::yield_now().await;
                done.send(()).unwrap();
            });
        });
        assert!(tasks.shutdown(NEVER).await);
        is_done.try_recv().unwrap();
    }
}
