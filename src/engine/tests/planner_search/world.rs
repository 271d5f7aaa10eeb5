//! The states of the search, what can happen in them, and what a crash leaves.

use std::fmt;

use super::model::{
    CALLBACK, CELL, Frame, Mutant, Names, Pos, Rules, SLOTS, Segment, Snapshot, State, Status, Truth, Violation, base,
    judge_index, missing, rebuild, replay, segment_of, trimmed, truth_at_end,
};
use crate::engine::planner::{Checkpoint, Live, Mark, Step, View, Walk, plan};
use crate::ids::{Lsn, SegmentId};
use crate::index::Verdict;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Budget {
    /// Highest segment number.
    pub(super) segments: u8,
    /// Beside the head.
    pub(super) frames_per_segment: usize,
    /// Full records that replace a job's last one (a nack, a release).
    pub(super) rewrites: u8,
    /// Checkpoints nobody asked for.
    pub(super) freezes: u8,
    /// Crashes after which the search goes on; every state is also crashed for good.
    pub(super) crashes: u8,
    /// Loads of a checkpoint that is wrong and does not look it.
    pub(super) lies: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct World {
    chain: Vec<Segment>,
    /// Removed, directory not synced since: a crash may bring each of them back.
    ghosts: Vec<Segment>,
    /// How many of them no later sync settles, because the one that should have failed.
    unsettled: usize,
    /// The compactor is between the rename and the sync of the directory.
    removing: bool,
    durable: Pos,
    truth: Truth,
    state: State,
    /// Which segment the walk is in, and how it stands.
    walk: (u8, Walk),
    /// The carrier has read this record (key, place, the cell's value then) and not yet staged its copy.
    holding: Option<(u8, Pos, u8)>,
    mark: (u8, Pos),
    halted: bool,
    frozen: Option<Snapshot>,
    saved: Option<Snapshot>,
    older: Option<Snapshot>,
    rewrites: u8,
    freezes: u8,
    crashes: u8,
    lies: u8,
    /// The index in use came from a snapshot that lied.
    lied_to: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lie {
    Forgets { key: u8 },
    Miscounts { segment: u8 },
}

/// What is left after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Image {
    end: Pos,
    /// One bit for each ghost.
    back: u8,
    /// The checkpoint the store shows: 0 none, 1 the last, 2 the one before.
    shown: u8,
    lie: Option<Lie>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Enqueue(u8),
    Rewrite(u8),
    Ack(u8),
    Sync,
    Plan {
        full: bool,
        step: Step,
    },
    StageCopy,
    SyncDirectory,
    SyncDirectoryFails,
    Freeze,
    Save,
    /// The power goes, or the system.
    Crash(Image),
    /// Only the process dies: names stay as they look, synced or not.
    Kill(Image),
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Enqueue(job) => write!(f, "enqueue {job}"),
            Self::Rewrite(job) => write!(f, "rewrite {job}"),
            Self::Ack(job) => write!(f, "ack {job}"),
            Self::Plan { full, step } => write!(f, "planner: {step:?}{}", if *full { " (full mode)" } else { "" }),
            Self::StageCopy => write!(f, "carrier stages its copy"),
            Self::Crash(Image { end, back, shown, lie }) | Self::Kill(Image { end, back, shown, lie }) => {
                write!(
                    f,
                    "{}: log ends at {}:{}",
                    if matches!(self, Self::Kill(_)) { "kill" } else { "crash" },
                    segment_of(*end),
                    end % SLOTS
                )?;
                if *back > 0 {
                    write!(f, ", removed names back (mask {back:b})")?;
                }
                write!(f, ", checkpoint {}", ["none", "last", "older"][usize::from(*shown)])?;
                if let Some(lie) = lie { write!(f, " which {lie:?}") } else { Ok(()) }
            }
            other => write!(f, "{other:?}"),
        }
    }
}

impl World {
    pub(super) fn new(rules: Rules) -> Self {
        let first = Segment { id: 1, before: Truth::default(), frames: vec![Frame::Head { trimmed: 0 }] };
        Self {
            durable: first.end(),
            chain: vec![first],
            ghosts: Vec::new(),
            unsettled: 0,
            removing: false,
            truth: Truth::default(),
            state: State::new(!rules.lack(Mutant::CellsNotCarried)),
            walk: (1, Walk::Underway),
            holding: None,
            mark: (0, 0),
            halted: false,
            frozen: None,
            saved: None,
            older: None,
            rewrites: 0,
            freezes: 0,
            crashes: 0,
            lies: 0,
            lied_to: false,
        }
    }

    fn tail(&self) -> Pos {
        self.chain.last().unwrap().end()
    }

    /// The newest segment that is not the tail's.
    pub(super) fn sealed_through(&self) -> u8 {
        segment_of(self.tail()) - 1
    }

    pub(super) fn oldest(&self) -> u8 {
        self.chain[0].id
    }

    pub(super) fn is_halted(&self) -> bool {
        self.halted
    }

    /// With a reason to stop: a checkpoint that lied, a directory sync that failed.
    pub(super) fn had_bad_luck(&self) -> bool {
        self.lies > 0 || self.unsettled > 0
    }

    /// None: beyond the budget.
    fn stage(&mut self, frame: Frame, budget: Budget) -> Option<()> {
        let last = self.chain.last().unwrap();
        if last.frames.len() > budget.frames_per_segment {
            let id = last.id + 1;
            if id > budget.segments {
                return None;
            }
            let head = Frame::Head { trimmed: self.mark.0 };
            self.chain.push(Segment { id, before: self.truth, frames: vec![head] });
        }
        let at = self.tail();
        self.chain.last_mut().unwrap().frames.push(frame);
        self.truth.step(frame);
        let _ = self.state.apply(at, frame, false);
        Some(())
    }

    /// What the engine would show the planner, for the segment in this place of the chain.
    fn view(&self, target: usize, asked_through: u8, full: bool) -> View {
        let segment = &self.chain[target];
        let lsn = |pos: Pos| Lsn(u64::from(pos));
        let id = |id: u8| SegmentId(u64::from(id));
        let live = u64::from(self.state.ledger[usize::from(segment.id)]);
        let saved = lsn(self.saved.map_or(0, |snapshot| snapshot.lsn));
        View {
            oldest: id(segment.id),
            oldest_end: lsn(base(segment.id + 1)),
            chain_segments: self.chain.len() as u64,
            prepared_segments: 2,
            prepared_wanted: 2,
            segment_bytes: u64::from(SLOTS),
            tail: lsn(self.tail()),
            durable: lsn(self.durable),
            ledger: Live { records: live, bytes: live },
            walk: if self.walk.0 == segment.id { self.walk.1 } else { Walk::Underway },
            live_bytes: self.state.ledger.iter().map(|live| u64::from(*live)).sum(),
            mark: Mark { through: id(self.mark.0), end: lsn(self.mark.1) },
            checkpoint: if self.frozen.is_some() { Checkpoint::Saving(saved) } else { Checkpoint::Saved(saved) },
            halted: self.halted,
            asked_through: Some(id(asked_through)),
            settled_through: None,
            oldest_fits: true,
            full_through: full.then_some(id(asked_through)),
        }
    }

    /// The real planner, or one with a rule switched off.
    fn ask(&self, asked_through: u8, full: bool, rules: Rules) -> Step {
        let target = usize::from(rules.lack(Mutant::OutOfOrder) && self.chain.len() > 2);
        let mut view = self.view(target, asked_through, full);
        match rules.off {
            Some(Mutant::RemovalWithoutDurability) => view.durable = view.tail,
            Some(Mutant::HaltIgnored) => view.halted = false,
            Some(Mutant::MarkNotDurableBefore) => view.mark.end = Lsn(0),
            Some(Mutant::DisagreementIgnored) => view.ledger = Live::default(),
            Some(Mutant::StraysIgnored) => {
                if let Walk::Complete { strays, .. } = &mut view.walk {
                    *strays = 0;
                }
            }
            Some(Mutant::MarkStagedBeforeTheDecision) => {
                if view.tail >= view.oldest_end && view.mark.through < view.oldest && !view.halted {
                    return Step::Mark(view.oldest);
                }
                if let Walk::Complete { at, .. } = &mut view.walk {
                    *at = Lsn(0);
                }
            }
            _ => {}
        }
        plan(&view)
    }

    fn execute(&mut self, step: Step, budget: Budget, rules: Rules) -> Option<()> {
        let number = |segment: SegmentId| u8::try_from(segment.0).unwrap();
        match step {
            Step::Sleep | Step::WaitDurable(_) => return None,
            Step::Carry(segment) => self.look_up(number(segment)),
            Step::Checkpoint => self.freeze(),
            Step::Mark(segment) => {
                self.mark.0 = number(segment);
                self.stage(Frame::Mark { through: number(segment) }, budget)?;
                self.mark.1 = self.tail();
            }
            Step::Remove { segment, .. } => {
                let at = self.chain.iter().position(|one| one.id == number(segment)).unwrap();
                self.ghosts.push(self.chain.remove(at));
                self.removing = !rules.lack(Mutant::NoDirectorySync);
                self.walk = (self.chain[0].id, Walk::Underway);
            }
            Step::Disagree(_) => {
                self.state = rebuild(&self.chain, self.state.counts_cells);
                (self.frozen, self.saved, self.older) = (None, None, None);
                (self.halted, self.lied_to) = (true, false);
            }
        }
        Some(())
    }

    /// The carrier's first half, without the lock: read the next record that lives.
    fn look_up(&mut self, segment: u8) {
        let live = self.state.live_in(segment);
        let counted = self.state.ledger[usize::from(segment)];
        self.walk = (segment, Walk::Underway);
        match live.first() {
            Some(key) if counted > 0 => {
                self.holding = Some((*key, self.state.places[usize::from(*key)], self.state.left));
            }
            _ => {
                let at = Lsn(u64::from(self.tail()));
                self.walk.1 = Walk::Complete { at, strays: live.len() as u64 };
            }
        }
    }

    /// The carrier's second half, under the lock: rule 9.
    fn stage_copy(&mut self, budget: Budget, rules: Rules) -> Option<()> {
        let (key, place, left) = self.holding.take()?;
        if self.state.places[usize::from(key)] != place && !rules.lack(Mutant::CarryUnchecked) {
            return Some(());
        }
        let copy = if key == CELL { Frame::CarryCell { left } } else { Frame::CarryJob { job: key } };
        self.stage(copy, budget)
    }

    fn freeze(&mut self) {
        self.frozen = Some(Snapshot { lsn: self.tail(), state: self.state, lies: self.lied_to });
    }

    fn save(&mut self) {
        self.older = self.saved;
        self.saved = self.frozen.take();
    }

    /// Everything that can happen next, but for crashes.
    fn moves(&self, budget: Budget, rules: Rules) -> Vec<Action> {
        let mut moves = Vec::new();
        let born = |job: u8| self.truth.jobs[usize::from(job)] != Status::Unborn;
        let indexed = |key: u8| self.state.places[usize::from(key)] != 0;
        // The members are alike: 1 comes after 0.
        moves.extend((0..CALLBACK).find(|job| !born(*job)).map(Action::Enqueue));
        if self.rewrites < budget.rewrites {
            moves.extend((0..=CALLBACK).filter(|job| indexed(*job)).map(Action::Rewrite));
        }
        let ackable = |job: &u8| indexed(*job) && (*job == CALLBACK || indexed(CELL));
        moves.extend((0..=CALLBACK).filter(ackable).map(Action::Ack));
        if self.durable < self.tail() {
            moves.push(Action::Sync);
        }
        if self.holding.is_some() {
            moves.push(Action::StageCopy);
        } else if self.removing {
            moves.extend([Action::SyncDirectory, Action::SyncDirectoryFails]);
        } else {
            let calm = self.ask(self.sealed_through(), false, rules);
            let full = self.ask(self.sealed_through(), true, rules);
            moves.push(Action::Plan { full: false, step: calm });
            if full != calm {
                moves.push(Action::Plan { full: true, step: full });
            }
        }
        match self.frozen {
            None if self.freezes < budget.freezes => moves.push(Action::Freeze),
            Some(frozen) if self.durable >= frozen.lsn || rules.lack(Mutant::CheckpointNotDurable) => {
                moves.push(Action::Save);
            }
            _ => {}
        }
        moves
    }

    fn after(&self, action: Action, budget: Budget, rules: Rules) -> Option<Self> {
        let mut next = self.clone();
        match action {
            Action::Enqueue(job) => next.stage(Frame::Enqueue { job, opens: job == 0 }, budget)?,
            Action::Rewrite(job) => {
                next.rewrites += 1;
                next.stage(Frame::Rewrite { job }, budget)?;
            }
            Action::Ack(job) => {
                let left = (job != CALLBACK).then(|| self.state.left - 1);
                next.stage(Frame::Ack { job, left }, budget)?;
            }
            Action::Sync => next.durable = self.tail(),
            Action::Plan { step, .. } => next.execute(step, budget, rules)?,
            Action::StageCopy => next.stage_copy(budget, rules)?,
            Action::SyncDirectory => {
                next.removing = false;
                next.ghosts.truncate(self.unsettled);
            }
            Action::SyncDirectoryFails => {
                next.removing = false;
                next.unsettled = self.ghosts.len();
                next.halted = true;
            }
            Action::Freeze => {
                next.freezes += 1;
                next.freeze();
            }
            Action::Save => next.save(),
            Action::Crash(image) => return self.recovered(image, rules),
            Action::Kill(image) => {
                next = self.recovered(image, rules)?;
                next.unsettled = self.unsettled;
                next.ghosts.clone_from(&self.ghosts);
                if !rules.lack(Mutant::DirectoryNotSyncedAtOpen) {
                    next.ghosts.truncate(self.unsettled);
                }
            }
        }
        Some(next)
    }

    pub(super) fn successors(&self, budget: Budget, rules: Rules) -> Vec<(Action, Self)> {
        let mut actions = self.moves(budget, rules);
        if self.crashes < budget.crashes {
            for image in self.crash_images() {
                actions.push(Action::Crash(image));
                // With every name settled at open a kill leaves what one of the crashes leaves. To the letter of
                // rule 5 nothing survives a failed directory sync, a kill, and a power cut.
                let settled = self.unsettled == 0 && !rules.lack(Mutant::DirectoryNotSyncedAtOpen);
                if image.back == 0 && !settled && (self.unsettled == 0 || rules.names == Names::Explained) {
                    actions.push(Action::Kill(image));
                }
                if self.lies < budget.lies {
                    let lies = self.lies_about(image);
                    actions.extend(lies.map(|lie| Action::Crash(Image { lie: Some(lie), ..image })));
                }
            }
        }
        actions.into_iter().filter_map(|action| Some((action, self.after(action, budget, rules)?))).collect()
    }

    /// Any end from durable on, any unsynced name kept or back, any checkpoint of the last two or none.
    pub(super) fn crash_images(&self) -> Vec<Image> {
        let ends = self.chain.iter().flat_map(|segment| base(segment.id) + 1..=segment.end());
        let mut images = Vec::new();
        for end in ends.filter(|end| *end >= self.durable) {
            for back in 0..1u8 << self.ghosts.len() {
                for shown in 0..3 {
                    let image = Image { end, back, shown, lie: None };
                    if shown == 0 || self.shown(image).is_some() {
                        images.push(image);
                    }
                }
            }
        }
        images
    }

    fn lies_about(&self, image: Image) -> impl Iterator<Item = Lie> {
        let state = self.shown(image).map(|snapshot| snapshot.state);
        let forgets = (0..=CELL).filter(move |key| state.is_some_and(|state| state.places[usize::from(*key)] != 0));
        let miscounts =
            (1..16).filter(move |segment| state.is_some_and(|state| state.ledger[usize::from(*segment)] > 0));
        forgets.map(|key| Lie::Forgets { key }).chain(miscounts.map(|segment| Lie::Miscounts { segment }))
    }

    fn shown(&self, image: Image) -> Option<Snapshot> {
        let mut snapshot = [None, self.saved, self.older][usize::from(image.shown)]?;
        match image.lie {
            None => {}
            Some(Lie::Forgets { key }) => snapshot.state.places[usize::from(key)] = 0,
            Some(Lie::Miscounts { segment }) => snapshot.state.ledger[usize::from(segment)] -= 1,
        }
        snapshot.lies |= image.lie.is_some();
        Some(snapshot)
    }

    fn chain_after(&self, image: Image, rules: Rules) -> Vec<Segment> {
        let back = self.ghosts.iter().enumerate().filter(|(n, _)| image.back >> n & 1 == 1).map(|(_, ghost)| ghost);
        let mut chain: Vec<Segment> = back.chain(&self.chain).cloned().collect();
        chain.retain(|segment| base(segment.id) < image.end);
        chain.sort_by_key(|segment| segment.id);
        let last = chain.last_mut().unwrap();
        last.frames.truncate(usize::from(image.end - base(last.id)));
        if rules.names == Names::Explained {
            let through = trimmed(&chain);
            chain.retain(|segment| segment.id > through);
        }
        chain
    }

    /// Opens what a crash left and compares.
    pub(super) fn judge(&self, image: Image, rules: Rules) -> Result<(), Violation> {
        let chain = self.chain_after(image, rules);
        if let Some(missing) = missing(&chain, rules) {
            return Err(Violation::MissingSegmentAlarm { missing });
        }
        let truth = truth_at_end(&chain);
        self.judge_chain(&chain, truth, image, rules)?;
        if rules.somebody_deletes_files() && chain.len() > 1 && missing(&chain[1..], rules).is_none() {
            let unnoticed = self.judge_chain(&chain[1..], truth, image, rules);
            unnoticed.map_err(|_| Violation::MissingSegmentUnnoticed)?;
        }
        Ok(())
    }

    fn judge_chain(&self, chain: &[Segment], truth: Truth, image: Image, rules: Rules) -> Result<(), Violation> {
        let rebuilt = rebuild(chain, self.state.counts_cells);
        rebuilt.compare(truth)?;
        rebuilt.readable(chain)?;
        let Some(snapshot) = self.shown(image).filter(|snapshot| !snapshot.lies) else { return Ok(()) };
        match judge_index(snapshot.lsn, base(chain[0].id), image.end, rules) {
            Verdict::Rebuild(_) => Ok(()),
            Verdict::LogLost => Err(Violation::LogLostAlarm),
            Verdict::Use => {
                let state = replay(chain, snapshot.lsn, snapshot.state, true);
                let state = match state {
                    Ok(state) => state,
                    // A mutant's bad luck that shows ends in a rebuild; what counts is what does not show.
                    Err(_) if rules.off.is_some() => return Ok(()),
                    Err(_) => return Err(Violation::IndexDoesNotFit),
                };
                state.compare(truth)?;
                state.readable(chain)
            }
        }
    }

    /// The world after a crash and an open; None: it does not open, or the lie came to light.
    fn recovered(&self, image: Image, rules: Rules) -> Option<Self> {
        let chain = self.chain_after(image, rules);
        if missing(&chain, rules).is_some() {
            return None;
        }
        let usable = self
            .shown(image)
            .filter(|snapshot| matches!(judge_index(snapshot.lsn, base(chain[0].id), image.end, rules), Verdict::Use));
        let replayed = usable.and_then(|snapshot| replay(&chain, snapshot.lsn, snapshot.state, true).ok());
        if replayed.is_none() && image.lie.is_some() {
            return None;
        }
        let saved = usable.filter(|_| replayed.is_some());
        let through = trimmed(&chain);
        Some(Self {
            durable: image.end,
            truth: truth_at_end(&chain),
            state: replayed.unwrap_or_else(|| rebuild(&chain, self.state.counts_cells)),
            walk: (chain[0].id, Walk::Underway),
            mark: (through, image.end),
            saved,
            rewrites: self.rewrites,
            freezes: self.freezes,
            crashes: self.crashes + 1,
            lies: self.lies + u8::from(image.lie.is_some()),
            lied_to: saved.is_some_and(|snapshot| snapshot.lies),
            chain,
            ..Self::new(rules)
        })
    }

    /// Lets the compactor and its services run, and nobody else, until there is nothing to do.
    pub(super) fn settle(&self, through: u8, budget: Budget, rules: Rules) -> Self {
        let mut world = self.clone();
        for _ in 0..200 {
            let action = if world.holding.is_some() {
                Action::StageCopy
            } else if world.removing {
                Action::SyncDirectory
            } else {
                match world.ask(through, false, rules) {
                    Step::Sleep if world.frozen.is_none() => return world,
                    Step::Sleep if world.durable == world.tail() => Action::Save,
                    Step::Sleep | Step::WaitDurable(_) => Action::Sync,
                    step => Action::Plan { full: false, step },
                }
            };
            world = world.after(action, budget, rules).unwrap();
        }
        panic!("the compactor never comes to rest")
    }
}
