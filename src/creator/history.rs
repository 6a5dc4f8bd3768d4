//! Undo and redo of plain values.

/// Most values that are kept to go back to.
const KEPT: usize = 100;

/// A value with what it was before and what it was before that was undone.
///
/// A change that goes on, as that of a dragged slider, is set many times and committed once: to undo goes back to where
/// it began.
#[derive(Clone, Debug, Default)]
pub struct History<T> {
    current: T,
    committed: T,
    past: Vec<T>,
    future: Vec<T>,
}

impl<T: Clone + PartialEq> History<T> {
    /// A value without a past.
    pub fn new(value: T) -> Self {
        Self { current: value.clone(), committed: value, past: Vec::new(), future: Vec::new() }
    }

    /// The value.
    pub fn current(&self) -> &T {
        &self.current
    }

    /// Changes the value; [`commit`](Self::commit) ends the change.
    pub fn set(&mut self, value: T) {
        self.current = value;
    }

    /// Makes what was set since the last commit one step that can be undone. What was undone before cannot be redone any
    /// more. Without a change nothing happens.
    pub fn commit(&mut self) {
        if self.current == self.committed {
            return;
        }
        if self.past.len() == KEPT {
            self.past.remove(0);
        }
        self.past.push(std::mem::replace(&mut self.committed, self.current.clone()));
        self.future.clear();
    }

    /// Goes back one step, or takes back a change that is not committed; whether there was one.
    pub fn undo(&mut self) -> bool {
        self.commit();
        let Some(before) = self.past.pop() else { return false };
        self.future.push(std::mem::replace(&mut self.committed, before));
        self.current = self.committed.clone();
        true
    }

    /// Takes back the last [`undo`](Self::undo); whether there was one.
    pub fn redo(&mut self) -> bool {
        self.commit();
        let Some(after) = self.future.pop() else { return false };
        self.past.push(std::mem::replace(&mut self.committed, after));
        self.current = self.committed.clone();
        true
    }

    /// Whether there is something to undo.
    pub fn can_undo(&self) -> bool {
        !self.past.is_empty() || self.current != self.committed
    }

    /// Whether there is something to redo.
    pub fn can_redo(&self) -> bool {
        !self.future.is_empty() && self.current == self.committed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drag_is_one_step() {
        let mut history = History::new(0.0);
        for step in 1..=10 {
            history.set(0.1 * f64::from(step));
        }
        history.commit();
        assert!(history.undo());
        assert_eq!(*history.current(), 0.0);
        assert!(!history.can_undo() && !history.undo());
        assert!(history.redo());
        assert_eq!(*history.current(), 0.1 * 10.0);
    }

    #[test]
    fn a_change_that_goes_on_can_be_undone_too() {
        let mut history = History::new(1);
        history.set(2);
        assert!(history.can_undo() && history.undo());
        assert_eq!(*history.current(), 1);
        assert!(history.redo());
        assert_eq!(*history.current(), 2);
    }

    #[test]
    fn what_was_undone_is_gone_after_another_change() {
        let mut history = History::new(1);
        for value in [2, 3] {
            history.set(value);
            history.commit();
        }
        history.undo();
        history.set(4);
        history.commit();
        assert!(!history.can_redo() && !history.redo());
        assert_eq!(*history.current(), 4);
        history.undo();
        assert_eq!(*history.current(), 2);
    }

    #[test]
    fn a_commit_without_a_change_is_no_step() {
        let mut history = History::new(1);
        history.set(2);
        history.set(1);
        history.commit();
        assert!(!history.can_undo());
    }

    #[test]
    fn the_past_is_limited() {
        let mut history = History::new(0);
        for value in 1..=KEPT + 5 {
            history.set(value);
            history.commit();
        }
        while history.undo() {}
        assert_eq!(*history.current(), 5);
    }
}
