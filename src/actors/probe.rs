//! An actor that records what it is told, in the place of a supervisor.

use super::supervision::{Census, Obituary};
use crate::ids::PeerId;
use crate::messages::supervision::{Child, ChildDown};
use crate::messages::virtual_peer::PulseGone;
use actix::{Actor, Addr, Context, Handler, MessageResult};

/// Hears of deaths and pulses.
#[derive(Default)]
pub(crate) struct Probe {
    heard: Heard,
}

/// What a probe has heard so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    pub(crate) deaths: Vec<ChildDown>,
    pub(crate) gone: Vec<PeerId>,
}

/// The question for it.
struct Recall;

impl actix::Message for Recall {
    type Result = Heard;
}

impl Probe {
    pub(crate) fn obituary(probe: &Addr<Probe>, child: Child) -> Obituary {
        Obituary::of(child, 1, probe.clone().recipient(), &Census::default())
    }
}

/// What it has heard so far.
pub(crate) async fn heard(probe: &Addr<Probe>) -> Heard {
    probe.send(Recall).await.unwrap()
}

impl Actor for Probe {
    type Context = Context<Self>;
}

impl Handler<ChildDown> for Probe {
    type Result = ();

    fn handle(&mut self, down: ChildDown, _: &mut Context<Self>) {
        self.heard.deaths.push(down);
    }
}

impl Handler<PulseGone> for Probe {
    type Result = ();

    fn handle(&mut self, PulseGone(peer): PulseGone, _: &mut Context<Self>) {
        self.heard.gone.push(peer);
    }
}

impl Handler<Recall> for Probe {
    type Result = MessageResult<Recall>;

    fn handle(&mut self, _: Recall, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.heard.clone())
    }
}
