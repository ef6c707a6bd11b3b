//! The only place that spawns: every task is tracked, told to stop, and ended.

use std::time::Duration;

use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// The tasks of one service. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stopping: CancellationToken,
    killed: CancellationToken,
}

impl Tasks {
    /// No tasks yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs a task until it ends or the tasks are killed. It should look at
    /// [`stopping`](Self::stopping) wherever it waits.
    pub fn spawn<F>(&self, task: F)
    where
        F: Future + Send + 'static,
        F::Output: Send,
    {
        let killed = self.killed.clone();
        self.tracker.spawn(async move {
            killed.run_until_cancelled_owned(task).await;
        });
    }

    /// Tells a task that it shall finish what it does and end.
    pub fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// Tells all tasks to stop and, after a grace, ends those that did not. Says whether all
    /// ended by themselves.
    pub async fn shutdown(&self, grace: Duration) -> bool {
        self.stopping.cancel();
        self.tracker.close();
        let graceful = tokio::time::timeout(grace, self.tracker.wait())
            .await
            .is_ok();
        self.kill();
        self.tracker.wait().await;
        graceful
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
        self.spawn(task);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tasks_that_look_end_by_themselves_and_others_are_ended() {
        let tasks = Tasks::new();
        let stopping = tasks.stopping();
        tasks.spawn(async move { stopping.cancelled().await });
        assert!(tasks.shutdown(Duration::from_secs(60)).await);

        let tasks = Tasks::new();
        tasks.spawn(std::future::pending::<()>());
        assert!(!tasks.shutdown(Duration::from_millis(1)).await);
    }
}
