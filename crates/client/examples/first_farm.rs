//! A first farm: `cargo run --release -p client --example first_farm -- icefarm-data/client.toml`, beside a running
//! `icefarm up`. Registers a player, claims the first free field it finds, plants the quickest crop that grows there,
//! watches it ripen and brings it in.

use client::{Client, Error, Options, Profile, ReadOptions};
use std::path::PathBuf;
use std::time::Duration;
use world::{Deed, FieldId, Rejection};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let profile = std::env::args_os().nth(1).map_or_else(|| "icefarm-data/client.toml".into(), PathBuf::from);
    let client = Client::connect(Profile::load(&profile)?, Options::default()).await?;
    let scrat = client.player("scrat")?;
    let entered = scrat.register().await?;
    println!("{} has {} acorns", entered.player.name, entered.player.acorns);

    // The shape of the land is known here; whose it is, only the cluster knows.
    let rules = client.rules();
    let squirrel = rules.character_named("squirrel")?;
    let mut claimed = None;
    for x in 31_000..32_000 {
        let field = FieldId::new(x, 8_200)?;
        if !client.terrain().at(field).claimable() {
            continue;
        }
        match scrat.claim(field, squirrel).await {
            Ok(done) => {
                claimed = Some(done.field);
                break;
            }
            Err(Error::Rejected(Rejection::AlreadyOwned { owner, .. }, _)) => println!("{field} is {owner}'s"),
            Err(Error::Rejected(Rejection::TooManyInChunk { .. }, _)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let land = claimed.ok_or("a thousand fields, and none was free")?;
    println!("{} ({}) is ours", land.field, land.terrain);

    let crops = rules.crops.iter().filter(|crop| crop.grows_on.contains(land.terrain));
    let crop = crops.min_by_key(|crop| crop.ripens_after_ms).ok_or("nothing grows there")?;
    let planted = scrat.plant(land.field, rules.crop_named(&crop.name)?).await?;
    println!("{} planted, at slot {} of shard {}", crop.name, planted.receipt.slot, planted.receipt.shard);

    loop {
        // Strong: the nearest replica may not have heard of our planting yet, and an eventual read would show bare land.
        let seen = client.field(land.field, ReadOptions::strong()).await?;
        let growing = seen.field.crop.ok_or("the crop is gone: does scrat farm from another terminal as well?")?;
        let left = growing.ripe.0.saturating_sub(client.time().0);
        if left == 0 {
            break;
        }
        println!("ripe in {} s", left.div_ceil(1_000));
        tokio::time::sleep(Duration::from_millis(left.min(5_000))).await;
    }
    if let Deed::Harvested(acorns) = scrat.harvest(land.field).await?.deed {
        println!("{acorns} acorns are on their way to the wallet");
    }
    client.close().await;
    Ok(())
}
