//! Cancelling a network run from another thread.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

type Hook = Arc<dyn Fn() + Send + Sync>;

/// A switch that ends a running network call early. Clones share the switch; once on, it stays on.
///
/// ```
/// # use bevy_fitdiff::runtime::CancelToken;
/// let token = CancelToken::default();
/// let for_the_worker = token.clone();
/// token.cancel();
/// assert!(for_the_worker.is_cancelled());
/// ```
#[derive(Clone, Default)]
pub struct CancelToken(Arc<State>);

#[derive(Default)]
struct State {
    cancelled: AtomicBool,
    next_hook: AtomicU64,
    hooks: Mutex<Vec<(u64, Hook)>>,
}

impl CancelToken {
    /// Turns the switch on and stops the calls that run under it.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::SeqCst);
        let hooks = self.0.hooks.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (_, hook) in hooks {
            hook();
        }
    }

    /// Whether [`cancel`](Self::cancel) has been called.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::SeqCst)
    }

    /// Calls `hook` when the token is cancelled, at once if it already is, until the guard is dropped.
    pub(super) fn on_cancel(&self, hook: impl Fn() + Send + Sync + 'static) -> CancelGuard {
        let id = self.0.next_hook.fetch_add(1, Ordering::Relaxed);
        let hook: Hook = Arc::new(hook);
        self.0.hooks.lock().unwrap_or_else(PoisonError::into_inner).push((id, hook.clone()));
        // Checked after registering: a cancellation between the two calls the hook twice, never not at all.
        if self.is_cancelled() {
            hook();
        }
        CancelGuard { token: self.clone(), id }
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CancelToken").field(&self.is_cancelled()).finish()
    }
}

/// Unregisters a hook of [`CancelToken::on_cancel`] when dropped.
#[must_use]
pub(super) struct CancelGuard {
    token: CancelToken,
    id: u64,
}

impl Drop for CancelGuard {
    fn drop(&mut self) {
        let mut hooks = self.token.0.hooks.lock().unwrap_or_else(PoisonError::into_inner);
        hooks.retain(|(id, _)| *id != self.id);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn a_hook_is_called_on_cancel_and_at_once_when_already_cancelled() {
        let token = CancelToken::default();
        let calls = Arc::new(AtomicUsize::new(0));
        let count = || {
            let calls = calls.clone();
            move || {
                calls.fetch_add(1, Ordering::SeqCst);
            }
        };
        let guard = token.on_cancel(count());
        assert_eq!(calls.load(Ordering::SeqCst), 0);
        token.cancel();
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        drop(guard);
        let _late = token.on_cancel(count());
        assert_eq!(calls.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn a_dropped_guard_is_never_called() {
        let token = CancelToken::default();
        drop(token.on_cancel(|| panic!("the run had ended")));
        token.cancel();
    }
}
