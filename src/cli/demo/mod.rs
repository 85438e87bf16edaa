//! `onex serve --demo`: a registry that is filled with a small shop, and in which something happens.
//!
//! The nodes run in this process, and are clients of the registry like any other: they connect, offer tools, publish
//! and are called over its own address, so that everything that is shown of them has really travelled. Only listeners
//! on buses are taken from the hub, where they can have names.
//!
//! Everything is drawn from one seed, so that the same seed tells the same story, as far as the clock lets it.

mod background;
mod chance;
mod goods;
mod listeners;
mod nodes;
mod orders;
mod place;
mod setup;
mod world;

pub(super) use place::Place;

use super::error;
use super::output;
use crate::app::App;
use crate::client::{Client, Error};
use chance::Chance;
use fastrand::Rng;
use futures_util::future::join_all;
use tokio::task::JoinHandle;
use world::World;

/// How many customers order at once.
const CUSTOMERS: usize = 4;

/// A shop that is open until it is dropped.
pub(super) struct Demo {
    running: JoinHandle<()>,
}

impl Demo {
    /// Opens the shop in a registry that has just been started. What goes wrong is said, and leaves a registry.
    pub(super) fn open(app: &App, seed: u64) -> Self {
        let (url, buses) = (format!("http://{}", app.address()), app.buses().clone());
        let running = tokio::spawn(async move {
            let mut rng = Rng::with_seed(seed);
            let opened = async {
                let client = Client::try_new(&url, None)?;
                setup::prepare(&client).await?;
                // Dropped, a node is gone: they are held for as long as the shop is open.
                let nodes = nodes::connect(&client, &Chance::new(rng.fork())).await?;
                let world = World::new(client, &nodes);
                setup::judge(&world).await?;
                Ok::<_, Error>((world, nodes))
            };
            match opened.await {
                Ok((world, nodes)) => {
                    let customers = join_all((0..CUSTOMERS).map(|_| orders::order_for_ever(&world, rng.fork())));
                    let listeners = listeners::listen(&world, &buses);
                    tokio::join!(customers, background::run(&world, rng.fork()), listeners);
                    drop(nodes);
                }
                Err(error) => output::note(&format!("onex: the demo could not be opened: {}", error::chain(&error))),
            }
        });
        Demo { running }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.running.abort();
    }
}
