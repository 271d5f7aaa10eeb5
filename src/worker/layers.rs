//! What a program wraps around every run: middleware, and state of its own.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::context::Context;
use super::failure::{Failure, Retry};
use super::handlers::{Ran, panicked};

/// A middleware.
pub(super) type Layer = Box<dyn Fn(&Context, Run<'_>) -> Result<Ended, Failure> + Send + Sync>;
/// The program's rule for failures that did not say what is to follow.
pub(super) type Rule = Box<dyn Fn(&Failure, &Context) -> Option<Retry> + Send + Sync>;

/// The rest of a run, as a middleware sees it: the next middleware, or the handler.
#[must_use = "the job does not run otherwise"]
pub struct Run<'r>(&'r mut dyn FnMut() -> Ran);

impl Run<'_> {
    /// Runs it. A panic in the handler comes back as a failure.
    pub fn run(self) -> Ended {
        Ended((self.0)())
    }
}

impl fmt::Debug for Run<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Run")
    }
}

/// How a run ended, on its way to the backlog.
#[must_use = "hand it on: it is what becomes of the job"]
pub struct Ended(Ran);

impl Ended {
    /// The job is completed.
    pub fn is_done(&self) -> bool {
        matches!(self.0, Ran::Done(_))
    }

    /// Why the attempt failed, if it did.
    pub fn failure(&self) -> Option<&Failure> {
        match &self.0 {
            Ran::Failed { failure, .. } => Some(failure),
            _ => None,
        }
    }
}

impl fmt::Debug for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ended").field(&self.0).finish()
    }
}

/// Middleware, outermost first, and the rule for failures.
#[derive(Default)]
pub(super) struct Layers {
    pub(super) around: Vec<Layer>,
    pub(super) rule: Option<Rule>,
}

impl Layers {
    /// Runs through every middleware. A panic in one is a failed attempt.
    pub(super) fn run(&self, cx: &Context, mut run: impl FnMut() -> Ran) -> Ran {
        if self.around.is_empty() {
            return run();
        }
        catch_unwind(AssertUnwindSafe(|| through(&self.around, cx, &mut run))).unwrap_or_else(panicked)
    }

    /// What the rule makes of a failure. One that panics has no say.
    pub(super) fn ruled(&self, cx: &Context, ran: Ran) -> Ran {
        let Some(rule) = &self.rule else { return ran };
        ran.ruled(|failure| {
            catch_unwind(AssertUnwindSafe(|| rule(failure, cx))).unwrap_or_else(|panic| {
                drop(panicked(panic));
                None
            })
        })
    }
}

fn through(layers: &[Layer], cx: &Context, run: &mut dyn FnMut() -> Ran) -> Ran {
    let Some((layer, inner)) = layers.split_first() else { return run() };
    let mut rest = || through(inner, cx, run);
    match layer(cx, Run(&mut rest)) {
        Ok(Ended(ran)) => ran,
        Err(failure) => Ran::failed(failure),
    }
}

/// What handlers of a pool share, by type.
#[derive(Default)]
pub(super) struct States(HashMap<TypeId, Box<dyn Any + Send + Sync>>);

impl States {
    pub(super) fn put<T: Send + Sync + 'static>(&mut self, state: T) {
        self.0.insert(TypeId::of::<T>(), Box::new(state));
    }

    pub(super) fn get<T: Send + Sync + 'static>(&self) -> Result<&T, Failure> {
        let state = self.0.get(&TypeId::of::<T>()).and_then(|state| state.downcast_ref());
        state.ok_or_else(|| {
            let name = type_name::<T>();
            Failure::new(format!("this pool has no state of type {name}: give it one with with_state()"))
        })
    }
}
