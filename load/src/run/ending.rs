//! Before and after: nobody has played here under this seed; what was claimed is there.

use super::{Plan, Run};
use crate::crowd::{Crowd, Wrong};
use crate::{Failure, Usage, bulk};
use client::{Client, Job, Read, ReadOptions, Success};
use std::collections::BTreeMap;
use world::{FieldId, PlayerName};

/// Fields looked at again in the end.
const VERIFIED: usize = 4_096;
/// Looks under way at a time.
const DEPTH: usize = 256;

impl Crowd {
    /// Refuses a seed whose players are in this world already: what they own is not what these would know of.
    pub async fn enter(&self, clients: &[Client], plan: &Plan) -> Result<(), Failure> {
        if plan.part.nth > 0 {
            return Ok(());
        }
        let marker = self.marker();
        let registered = clients[0].player(marker.as_str())?.register().await?;
        if registered.new {
            return Ok(());
        }
        let seed = plan.seed;
        Err(Usage(format!(
            "this cluster has been played on with --seed {seed} before: choose another, or leave it out"
        ))
        .into())
    }
}

impl Run {
    /// Looks at what players were told is theirs, and at contested fields; says how many fields, and how many operations
    /// on contested fields have been put in order.
    pub async fn verify(&mut self, client: &Client, interrupted: bool) -> Result<(usize, usize), Failure> {
        let own: BTreeMap<FieldId, PlayerName> = self.flights.crowd.sample(VERIFIED).into_iter().collect();
        let fields = own.keys().chain(self.flights.remembered()).copied();
        let fields: Vec<FieldId> = if interrupted { Vec::new() } else { fields.collect() };
        let begin = self.begin;
        let jobs = fields.iter().map(|field| (Job::Ask(Read::Field(*field), ReadOptions::strong()), *field));
        let flights = &mut self.flights;
        bulk::run(client, DEPTH, jobs, |asked, success, took| {
            let Success::Field { field, .. } = success else {
                flights.wrong(Wrong(format!("a read of {asked} shows {success:?}")));
                return Ok(());
            };
            match own.get(&asked) {
                Some(owner) if field.owner != Some(*owner) => {
                    flights.wrong(Wrong(format!(
                        "{owner} was told that {asked} is theirs, and in the end it is {field:?}"
                    )));
                }
                Some(_) => {}
                None => flights.seen(field, took.begun - begin, took.ended - begin),
            }
            Ok(())
        })
        .await?;
        Ok((fields.len(), self.flights.check_order()))
    }
}
