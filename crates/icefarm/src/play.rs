//! The player's verbs.

use crate::cli::{Globals, Price, Verb};
use crate::draw;
use crate::exit::{Exit, Failure};
use crate::refusal::{self, Context};
use crate::stdout;
use crate::watch;
use crate::words;
use client::{Client, Error, Profile, ReadOptions};
use json::{building_name, character_name, crop_name};
use placement::ClusterId;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use wire::Level;
use world::rules::NoSuchEntry;
use world::{Acorns, CharacterId, Command, Deed, FieldId, FieldView, Millis, PlayerName, Rect, RuleBook};

/// Who lives on a field if nobody is named; the first of a rule book that does not know it.
const USUAL_CHARACTER: &str = "squirrel";
/// How long saying goodbye may take: enough for the words to leave.
const GOODBYE: Duration = Duration::from_millis(50);

/// A connection to the cluster, and how to talk about what comes over it.
pub struct Session<'a> {
    /// The cluster.
    pub client: Client,
    /// Names.
    pub rules: Arc<RuleBook>,
    /// What was typed for every verb.
    pub globals: &'a Globals,
    player: Option<PlayerName>,
}

/// Connects, does it, says goodbye. Where somebody has to play and nobody does, it is refused before anybody is asked.
pub fn with_session(
    globals: &Globals,
    needs_player: bool,
    work: impl AsyncFnOnce(&Session<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let profile = load_profile(&globals.cluster)?;
    if needs_player && globals.player.or(profile.player).is_none() {
        return Err(nobody_plays());
    }
    if let Some(node) = globals.from.filter(|node| profile.node(*node).is_none()) {
        let known = words::list(profile.nodes.iter().map(|entry| entry.id));
        return Err(Failure::new(Exit::Usage, format!("--from {node}: the profile knows no such node"))
            .hint(format!("name one of {known}")));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Machine, format!("cannot start the runtime: {error}")))?;
    runtime.block_on(async {
        let (player, cluster) = (globals.player.or(profile.player), profile.cluster);
        let mut options = client::Options::default();
        options.requests.request_timeout = globals.timeout;
        options.connect_timeout = options.connect_timeout.min(globals.timeout);
        let connected = Client::connect(profile, options).await;
        let client =
            connected.map_err(|error| refusal::not_connected(&error, &globals.cluster.display().to_string()))?;
        let session = Session { rules: client.rules(), client, globals, player };
        if let Some(path) = &globals.session {
            resume(&session.client, path, cluster).await?;
        }
        let result = work(&session).await;
        // What was seen counts, whatever came of it.
        let result = match &globals.session {
            Some(path) => result.and(remember(&session.client, path, cluster).await),
            None => result,
        };
        // A node that is down would not hear the goodbye, however long we wait.
        let _ = tokio::time::timeout(GOODBYE, session.client.close()).await;
        result
    })
}

/// Goes on from what the file remembers, if there is one yet: a token, and in the next line which cluster it is of. (Another
/// cluster's slots mean nothing here: one would wait for what never comes.)
async fn resume(client: &Client, path: &Path, cluster: ClusterId) -> Result<(), Failure> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(session_trouble("read", path, &error)),
    };
    let unusable = |why: String| {
        Failure::new(Exit::Usage, format!("{}: {why}", path.display())).hint("remove the file to begin a new session")
    };
    let mut lines = text.lines();
    let token =
        lines.next().unwrap_or_default().parse().map_err(|error: wire::NotASession| unusable(error.to_string()))?;
    if let Some(other) = lines.next().filter(|line| *line != cluster.to_string()) {
        return Err(unusable(format!("this session is of another cluster ('{other}'; this one is {cluster})")));
    }
    client.resume(token).await.map_err(|error| Failure::new(Exit::Bug, error.to_string()))
}

async fn remember(client: &Client, path: &Path, cluster: ClusterId) -> Result<(), Failure> {
    let token = client.session().await.map_err(|error| Failure::new(Exit::Bug, error.to_string()))?;
    storage::replace_durably(path, format!("{token}\n{cluster}\n").as_bytes())
        .map_err(|error| session_trouble("write", path, &error))
}

fn session_trouble(doing: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Machine, format!("cannot {doing} the session {}: {error}", path.display()))
        .hint("name another file with --session")
}

fn load_profile(path: &Path) -> Result<Profile, Failure> {
    Profile::load(path).map_err(|error| {
        let failure = Failure::new(Exit::Usage, error.to_string());
        if path.exists() {
            failure
        } else {
            failure.hint("start a cluster here with `icefarm up`, or name one with --cluster or ICEFARM_CLUSTER")
        }
    })
}

impl Session<'_> {
    /// As was typed.
    pub fn read_options(&self) -> ReadOptions {
        let session = self.globals.session.is_some().then_some(Level::Session);
        ReadOptions { level: self.globals.read.or(session), from: self.globals.from }
    }

    /// Puts an error into words.
    pub fn explain(&self, doing: &str, level: Option<Level>, error: &Error) -> Failure {
        refusal::failure(error, Context { doing, rules: &self.rules, now: self.client.time(), level })
    }

    fn who(&self) -> Result<PlayerName, Failure> {
        self.player.ok_or_else(nobody_plays)
    }
}

fn nobody_plays() -> Failure {
    Failure::new(Exit::Usage, "nobody is playing: the profile names no player")
        .hint("say who plays with --as NAME; a new name is registered on first use")
}

/// Whether a verb is somebody's: then it is a mistake to name nobody, whatever the cluster says.
pub fn needs_player(verb: &Verb) -> bool {
    !matches!(
        verb,
        Verb::Field { .. } | Verb::View { .. } | Verb::Watch { .. } | Verb::Player { name: Some(_) } | Verb::Rules
    )
}

/// Does one of the player's verbs.
pub async fn run(session: &Session<'_>, verb: &Verb) -> Result<(), Failure> {
    let rules = &session.rules;
    let named = |error: NoSuchEntry| Failure::new(Exit::Usage, error.to_string());
    let (word, command) = match verb {
        Verb::Claim { field, character } => {
            let character = match character {
                Some(name) => rules.character_named(name).map_err(named)?,
                None => rules.character_named(USUAL_CHARACTER).unwrap_or(CharacterId(0)),
            };
            ("claim", Command::Claim { field: *field, character })
        }
        Verb::Plant { field, crop } => {
            ("plant", Command::Plant { field: *field, crop: rules.crop_named(crop).map_err(named)? })
        }
        Verb::Tend { field } => ("tend", Command::Tend { field: *field }),
        Verb::Harvest { field } => ("harvest", Command::Harvest { field: *field }),
        Verb::Build { field, building } => {
            let building = rules.building_named(building).map_err(named)?;
            ("build", Command::Build { field: *field, building })
        }
        Verb::Offer { field, price: Price(price) } => {
            ("offer", Command::Offer { field: *field, price: price.map(Acorns) })
        }
        Verb::Abandon { field } => ("abandon", Command::Abandon { field: *field }),
        Verb::Field { field } => return show_field(session, *field).await,
        Verb::View { corner, size } => return show_view(session, *corner, *size).await,
        Verb::Watch { corner, size } => return watch::run(session, *corner, *size).await,
        Verb::Player { name } => return show_player(session, *name).await,
        Verb::Rules => return show_rules(session),
        Verb::Up(_) | Verb::Node(_) | Verb::Cluster(_) | Verb::Admin(_) | Verb::Completions { .. } => {
            unreachable!("not a player's verb")
        }
    };
    command_field(session, word, command).await
}

async fn command_field(session: &Session<'_>, word: &str, command: Command) -> Result<(), Failure> {
    let doing = command.field().map_or_else(|| word.to_owned(), |field| format!("{word} {field}"));
    let name = session.who()?;
    if session.globals.from.is_some() || session.globals.read.is_some() {
        return Err(Failure::new(Exit::Usage, format!("{doing}: --from and --read are for looking, not for doing"))
            .hint("leave them out: whoever leads the field's shard decides what is done"));
    }
    let explain = |error: &Error| session.explain(&doing, None, error);
    let player = session.client.player(name.as_str()).map_err(|error| explain(&error))?;
    // A new name enters the world with its first command. The two are independent, and go out together.
    let (registered, done) = tokio::join!(player.register(), player.command(command));
    let done = done.map_err(|error| explain(&error))?;
    match registered {
        Ok(registered) if registered.new => {
            eprintln!("welcome, {name}: your wallet holds {} acorns", registered.player.acorns);
        }
        Ok(_) => {}
        Err(error) => eprintln!("{name} is not registered yet ({error}); the next command tries again"),
    }
    if session.globals.json {
        return stdout::json(&json::Done::new(&done, &session.rules));
    }
    let field = &done.field;
    let crop = field.crop.map(|crop| crop_name(&session.rules, crop.crop));
    let ripe = field.crop.map(|crop| until(crop.ripe, session.client.time()));
    let (crop, ripe) = (crop.unwrap_or_default(), ripe.unwrap_or_default());
    let told = match done.deed {
        Deed::Claimed => {
            let character = field.character.map(|id| character_name(&session.rules, id)).unwrap_or_default();
            format!("{} is yours, {name}: {} with a {character} on it", field.field, field.terrain)
        }
        Deed::Planted => format!("{crop} grows on {}, ripe {ripe}", field.field),
        Deed::Tended => format!("the {crop} on {} is tended, ripe {ripe}", field.field),
        Deed::Harvested(acorns) => {
            format!("harvested {}: {} on the way to you", field.field, words::count(acorns.0, "acorn"))
        }
        Deed::Built => {
            let last = field.structures.last().map(|id| building_name(&session.rules, *id)).unwrap_or_default();
            format!("built: {last} on {}", field.field)
        }
        Deed::Offered => match field.price {
            Some(price) => format!("{} is for sale at {}", field.field, words::count(price.0, "acorn")),
            None => format!("{} is not for sale", field.field),
        },
        Deed::Abandoned => format!("{} is free again", field.field),
    };
    stdout::text(&format!("{told}\n"))
}

async fn show_field(session: &Session<'_>, field: FieldId) -> Result<(), Failure> {
    let options = session.read_options();
    let read = session.client.field(field, options).await;
    let read = read.map_err(|error| session.explain(&format!("field {field}"), options.level, &error))?;
    if session.globals.json {
        return stdout::json(&json::FieldAnswer::new(&read, &session.rules));
    }
    let description = describe(&read.field, &session.rules, session.client.time());
    stdout::text(&format!("{description}{}\n", worth(&read.receipt)))
}

fn describe(view: &FieldView, rules: &RuleBook, now: Millis) -> String {
    let mut lines = vec![match view.owner {
        Some(owner) => format!("{}: {}, owned by {owner}", view.field, view.terrain),
        None if view.terrain.claimable() => format!("{}: {}, free to claim", view.field, view.terrain),
        None => format!("{}: {}, nobody's", view.field, view.terrain),
    }];
    if let Some(character) = view.character {
        lines.push(format!("  lives there:  {}", character_name(rules, character)));
    }
    if let Some(crop) = view.crop {
        lines.push(format!("  grows there:  {}, ripe {}", crop_name(rules, crop.crop), until(crop.ripe, now)));
    }
    if !view.structures.is_empty() {
        lines.push(format!(
            "  stands there: {}",
            words::list(view.structures.iter().map(|id| building_name(rules, *id)))
        ));
    }
    if let Some(price) = view.price {
        lines.push(format!("  for sale at:  {price} acorns"));
    }
    lines.join("\n") + "\n"
}

/// `in 20 s`, or `now`.
pub fn until(at: Millis, now: Millis) -> String {
    if at <= now { "now".into() } else { format!("in {}", words::duration(at.0 - now.0)) }
}

fn worth(receipt: &wire::Receipt) -> String {
    let wire::Receipt { shard, node, slot, level, bound_ms } = receipt;
    let bound = match bound_ms {
        Some(0) => "nothing newer was acknowledged when it was asked".to_owned(),
        Some(ms) => format!("at most {ms} ms old"),
        None => "of unknown age".to_owned(),
    };
    format!("  ({level} read of shard {shard} on {node} at slot {slot}: {bound})")
}

async fn show_view(session: &Session<'_>, corner: FieldId, (w, h): (u32, u32)) -> Result<(), Failure> {
    let rect = Rect::new(corner, w, h).map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    let options = session.read_options();
    let read = session.client.view(rect, options).await;
    let read = read.map_err(|error| session.explain(&format!("view {corner}"), options.level, &error))?;
    if session.globals.json {
        return stdout::json(&json::ViewAnswer::new(rect, &read, &session.rules));
    }
    stdout::text(&picture(session, rect, &read.fields))
}

/// Land, drawn.
pub fn picture(session: &Session<'_>, rect: Rect, fields: &[FieldView]) -> String {
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let scene = draw::Scene {
        rect,
        fields,
        terrain: session.client.terrain(),
        rules: &session.rules,
        player: session.player,
        now: session.client.time(),
    };
    draw::draw(&scene, colour)
}

async fn show_player(session: &Session<'_>, name: Option<PlayerName>) -> Result<(), Failure> {
    let name = match name {
        Some(name) => name,
        None => session.who()?,
    };
    let options = session.read_options();
    let read = session.client.player_summary(name.as_str(), options).await;
    let read = read.map_err(|error| session.explain(&format!("player {name}"), options.level, &error))?;
    let Some(answer) = json::PlayerAnswer::new(&read) else {
        return Err(refusal::no_such_player(name.as_str(), read.receipts.first()));
    };
    if session.globals.json {
        return stdout::json(&answer);
    }
    let acorns = read.player.map_or(Acorns::ZERO, |player| player.acorns);
    let pending = match read.holdings.pending {
        Acorns::ZERO => String::new(),
        pending => format!("  {} more on the way\n", words::count(pending.0, "acorn")),
    };
    let (acorns, fields) = (words::count(acorns.0, "acorn"), words::count(read.holdings.fields, "field"));
    stdout::text(&format!("{name}: {acorns}, {fields}\n{pending}"))
}

fn show_rules(session: &Session<'_>) -> Result<(), Failure> {
    let rules = &session.rules;
    if session.globals.json {
        return stdout::json(&json::RulesAnswer::new(rules));
    }
    let heading = |first: &str| [first, "sign", "about"].map(str::to_owned).to_vec();
    let mut characters = vec![heading("character")];
    characters.extend(rules.characters.iter().map(|c| vec![c.name.clone(), c.glyph.to_string(), c.about.clone()]));
    let mut crops = vec![["crop", "sign", "ripens in", "acorns", "grows on", "about"].map(str::to_owned).to_vec()];
    crops.extend(rules.crops.iter().map(|crop| {
        vec![
            crop.name.clone(),
            crop.glyph.to_string(),
            words::duration(crop.ripens_after_ms.into()),
            crop.yields.to_string(),
            words::list(crop.grows_on.iter()),
            crop.about.clone(),
        ]
    }));
    let mut buildings = vec![heading("building")];
    buildings.extend(rules.buildings.iter().map(|b| vec![b.name.clone(), b.glyph.to_string(), b.about.clone()]));
    stdout::text(&format!(
        "rule book '{}', version {}\n\
        a new player has {} acorns; at most {} fields of one player in a chunk of 64 x 64; prices up to {}\n\
        \n{}\n{}\n{}",
        rules.name,
        rules.version,
        rules.starting_acorns,
        rules.fields_per_chunk,
        rules.max_price,
        words::table(&characters),
        words::table(&crops),
        words::table(&buildings),
    ))
}
