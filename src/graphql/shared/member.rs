//! One of those who share an execution: with the others where it can be, else alone, from its place on.

use super::super::answer::{Answer, Answers};
use super::Shared;
use super::live::{Burst, Found, Live};
use crate::model::Sequence;
use futures_util::stream::{Stream, StreamExt};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

pub(super) struct Member {
    shared: Arc<Shared>,
    live: Arc<Live>,
    /// How far it has come.
    place: Sequence,
    way: Way,
}

enum Way {
    /// With the others: in a seat, with what it took there and how far it is in that.
    Seated { seat: usize, taken: Option<(Arc<Burst>, usize)> },
    /// By an execution of its own.
    Alone(Answers),
}

impl Member {
    /// One that was counted already.
    pub(super) fn new(shared: Arc<Shared>, live: Arc<Live>, place: Sequence) -> Self {
        let way = match live.sit_down(place) {
            Some(seat) => Way::Seated { seat, taken: None },
            None => Way::Alone(shared.alone(&live.asked, &live.caller, Some(place), None)),
        };
        Member { shared, live, place, way }
    }
}

impl Stream for Member {
    type Item = Answer;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Answer>> {
        let this = self.get_mut();
        loop {
            match &mut this.way {
                Way::Seated { seat, taken } => {
                    if let Some(answer) = next_of(taken, &mut this.place) {
                        return Poll::Ready(Some(answer));
                    }
                    match this.live.take(*seat, context.waker()) {
                        Found::Burst(burst) => *taken = Some((burst, 0)),
                        Found::Nothing => return Poll::Pending,
                        Found::Lost => {
                            this.live.stand_up(*seat);
                            let (asked, caller) = (&this.live.asked, &this.live.caller);
                            let answers = this.shared.alone(asked, caller, Some(this.place), None);
                            this.way = Way::Alone(answers);
                        }
                    }
                }
                Way::Alone(answers) => {
                    let answer = ready!(answers.poll_next_unpin(context));
                    if let Some(place) = answer.as_ref().and_then(Answer::place) {
                        this.place = place;
                        if let Some(seat) = this.live.sit_down(place) {
                            this.way = Way::Seated { seat, taken: None };
                        }
                    }
                    return Poll::Ready(answer);
                }
            }
        }
    }
}

/// The next answer of what was taken that lies behind this place.
fn next_of(taken: &mut Option<(Arc<Burst>, usize)>, place: &mut Sequence) -> Option<Answer> {
    let (burst, at) = taken.as_mut()?;
    while let Some(answer) = burst.answers.get(*at) {
        *at += 1;
        if answer.place() > Some(*place) {
            *place = answer.place().unwrap_or(*place);
            return Some(answer.clone());
        }
    }
    *taken = None;
    None
}

impl Drop for Member {
    fn drop(&mut self) {
        if let Way::Seated { seat, .. } = self.way {
            self.live.stand_up(seat);
        }
        self.shared.leave(&self.live);
    }
}
