//! Entities that wait for the worker, one after the other.

use std::collections::VecDeque;

use bevy::prelude::*;

use crate::runtime::CancelToken;

/// Entities in the order in which they asked, and the one that the worker is busy with.
#[derive(Default)]
pub(super) struct Line {
    waiting: VecDeque<Entity>,
    running: Option<Running>,
    jobs: u64,
}

struct Running {
    job: u64,
    /// `None` once nobody wants the result any more.
    entity: Option<Entity>,
    cancel: CancelToken,
}

impl Line {
    /// Puts an entity at the end; what was asked for it before is forgotten.
    pub fn join(&mut self, entity: Entity) {
        self.withdraw(entity);
        self.waiting.push_back(entity);
    }

    /// Forgets what was asked for an entity.
    pub fn withdraw(&mut self, entity: Entity) {
        self.waiting.retain(|waiting| *waiting != entity);
        if let Some(running) = self.running.as_mut().filter(|running| running.entity == Some(entity)) {
            running.entity = None;
            running.cancel.cancel();
        }
    }

    /// Whether the worker is busy with one.
    pub fn is_busy(&self) -> bool {
        self.running.is_some()
    }

    /// The entity at a place.
    pub fn waiting(&self, place: usize) -> Option<Entity> {
        self.waiting.get(place).copied()
    }

    /// Takes out the entity at a place.
    pub fn leave(&mut self, place: usize) {
        self.waiting.remove(place);
    }

    /// The entity at a place is what the worker is busy with from now on: the number of the job and its switch.
    pub fn start(&mut self, place: usize) -> (u64, CancelToken) {
        self.jobs += 1;
        let (job, cancel) = (self.jobs, CancelToken::default());
        let entity = self.waiting.remove(place);
        self.running = Some(Running { job, entity, cancel: cancel.clone() });
        (job, cancel)
    }

    /// Who the running job is for; `None` when it is another job, or nobody wants the result.
    pub fn of_job(&self, job: u64) -> Option<Entity> {
        self.running.as_ref().filter(|running| running.job == job).and_then(|running| running.entity)
    }

    /// A job has ended. Who it was for, if anybody wants the result.
    pub fn end(&mut self, job: u64) -> Option<Entity> {
        self.running.take_if(|running| running.job == job).and_then(|running| running.entity)
    }
}
