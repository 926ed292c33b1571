//! What the rules look at: the workspace's crates and text files, read once.

use crate::{Failure, workspace};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// One crate of the workspace.
#[derive(Clone, Debug, Default)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its folder, relative to the root: `crates/world`.
    pub folder: String,
    /// Crates of this workspace that it names as dependencies of any kind.
    pub siblings: BTreeSet<String>,
    /// Other crates that it names as normal dependencies.
    pub externals: BTreeSet<String>,
    /// What it asks of other crates, as `crate/feature`.
    pub features: BTreeSet<String>,
    /// What only its tests ask of them.
    pub test_features: BTreeSet<String>,
    /// Every crate that is linked into it, however deep, on this platform.
    pub reaches: BTreeSet<String>,
    /// Where its `clippy.toml` links to, if it is a link.
    pub lint_link: Option<String>,
}

/// One text file.
#[derive(Clone, Debug, Default)]
pub struct File {
    /// Relative to the root, with `/`.
    pub path: String,
    /// What it says.
    pub text: String,
}

impl File {
    /// `rs`, `toml`, ...
    pub fn extension(&self) -> &str {
        self.path.rsplit_once('.').map_or("", |(_, extension)| extension)
    }
}

/// The workspace.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// Its crates.
    pub members: Vec<Member>,
    /// Its text files.
    pub files: Vec<File>,
    /// Every crate in the build, on this platform.
    pub packages: BTreeSet<String>,
}

impl Tree {
    /// The text of a file, or nothing.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|file| file.path == path).map(|file| file.text.as_str())
    }

    /// Reads the workspace from disk.
    pub fn read() -> Result<Self, Failure> {
        let metadata = workspace::metadata(&["--filter-platform", "host-tuple"])?;
        let root = PathBuf::from(metadata["workspace_root"].as_str().unwrap_or("."));
        let mut files = Vec::new();
        read_folder(&root, &root, &mut files)?;
        let (members, packages) = members(&metadata, &root)?;
        Ok(Self { members, files, packages })
    }
}

/// Endings of what people write.
const TEXT: [&str; 13] = ["rs", "toml", "md", "ts", "tsx", "js", "json", "html", "css", "sh", "yml", "yaml", "txt"];
/// Files of that kind without an ending.
const NAMED: [&str; 2] = ["run", "Dockerfile"];

fn read_folder(root: &Path, folder: &Path, files: &mut Vec<File>) -> Result<(), Failure> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| Failure::Read { path, source }
    };
    for entry in fs::read_dir(folder).map_err(unreadable(folder))? {
        let entry = entry.map_err(unreadable(folder))?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let kind = entry.file_type().map_err(unreadable(&path))?;
        if kind.is_dir() {
            if is_ours(&path, &name) {
                read_folder(root, &path, files)?;
            }
        } else if kind.is_file() && is_text(&name) {
            let bytes = fs::read(&path).map_err(unreadable(&path))?;
            let relative = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            files.push(File { path: relative, text: String::from_utf8_lossy(&bytes).into_owned() });
        }
    }
    Ok(())
}

/// Not what was built, downloaded, or written by a cluster.
fn is_ours(path: &Path, name: &str) -> bool {
    let hidden = name.starts_with('.') && !matches!(name, ".ci" | ".cargo" | ".github");
    let made = matches!(name, "target" | "node_modules" | "dist" | "test-results" | "icefarm-data")
        || path.join("CACHEDIR.TAG").exists();
    !hidden && !made
}

fn is_text(name: &str) -> bool {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending);
    NAMED.contains(&name) || ending.is_some_and(|ending| TEXT.contains(&ending))
}

fn members(metadata: &Value, root: &Path) -> Result<(Vec<Member>, BTreeSet<String>), Failure> {
    let list = |value: &Value, what: &str| {
        value.as_array().cloned().ok_or_else(|| Failure::Cargo(format!("'{what}' is not a list")))
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let packages = list(&metadata["packages"], "packages")?;
    let ours: BTreeSet<_> = list(&metadata["workspace_members"], "workspace_members")?.iter().map(text).collect();
    let graph = Graph::of(&packages, &list(&metadata["resolve"]["nodes"], "resolve.nodes")?);

    let mut members = Vec::new();
    for package in packages.iter().filter(|package| ours.contains(&text(&package["id"]))) {
        let manifest = PathBuf::from(text(&package["manifest_path"]));
        let folder = manifest.parent().unwrap_or(root);
        let mut member = Member {
            name: text(&package["name"]),
            folder: folder.strip_prefix(root).unwrap_or(folder).to_string_lossy().into_owned(),
            reaches: graph.reached_from(&text(&package["id"])),
            lint_link: fs::read_link(folder.join("clippy.toml")).ok().map(|to| to.to_string_lossy().into_owned()),
            ..Member::default()
        };
        for dependency in list(&package["dependencies"], "dependencies")? {
            let name = text(&dependency["name"]);
            let asked = if dependency["kind"] == "dev" { &mut member.test_features } else { &mut member.features };
            asked.extend(
                list(&dependency["features"], "features")?.iter().map(|feature| format!("{name}/{}", text(feature))),
            );
            if dependency["path"].is_string() {
                member.siblings.insert(name);
            } else if dependency["kind"].is_null() {
                member.externals.insert(name);
            }
        }
        members.push(member);
    }
    Ok((members, graph.names.values().cloned().collect()))
}

/// Who is linked into whom.
struct Graph {
    names: BTreeMap<String, String>,
    edges: BTreeMap<String, Vec<String>>,
}

impl Graph {
    fn of(packages: &[Value], nodes: &[Value]) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let each = |value: &Value| value.as_array().cloned().unwrap_or_default();
        // A procedural macro runs while compiling; what it needs is not linked into anything.
        let is_macro = |package: &Value| {
            each(&package["targets"]).iter().any(|target| each(&target["kind"]).iter().any(|kind| kind == "proc-macro"))
        };
        let macros: BTreeSet<_> = packages.iter().filter(|p| is_macro(p)).map(|p| text(&p["id"])).collect();
        let resolved: BTreeSet<_> = nodes.iter().map(|node| text(&node["id"])).collect();
        let names = packages.iter().map(|p| (text(&p["id"]), text(&p["name"]))).filter(|(id, _)| resolved.contains(id));
        let normal = |dep: &Value| each(&dep["dep_kinds"]).iter().any(|kind| kind["kind"].is_null());
        let edges = nodes.iter().map(|node| {
            let linked = each(&node["deps"]).into_iter().filter(normal).map(|dep| text(&dep["pkg"]));
            (text(&node["id"]), linked.filter(|id| !macros.contains(id)).collect())
        });
        Self { names: names.collect(), edges: edges.collect() }
    }

    fn reached_from(&self, id: &str) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        let mut open = vec![id];
        while let Some(id) = open.pop() {
            for next in self.edges.get(id).into_iter().flatten() {
                if seen.insert(next.as_str()) {
                    open.push(next);
                }
            }
        }
        seen.into_iter().filter_map(|id| self.names.get(id).cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_linked_is_followed_to_the_end_and_not_into_macros_or_tests() {
        let package = |id: &str, kind: &str| json!({ "id": id, "name": id, "targets": [{ "kind": [kind] }] });
        let edge = |to: &str, kind: Value| json!({ "pkg": to, "dep_kinds": [{ "kind": kind }] });
        let packages = [
            package("a", "lib"),
            package("b", "lib"),
            package("c", "lib"),
            package("derive", "proc-macro"),
            package("syn", "lib"),
            package("helper", "lib"),
        ];
        let nodes = [
            json!({ "id": "a", "deps": [edge("b", Value::Null), edge("derive", Value::Null), edge("helper", json!("dev"))] }),
            json!({ "id": "b", "deps": [edge("c", Value::Null)] }),
            json!({ "id": "derive", "deps": [edge("syn", Value::Null)] }),
        ];
        let graph = Graph::of(&packages, &nodes);
        assert_eq!(graph.reached_from("b").len(), 0, "c is not resolved on this platform");
        let nodes = [&nodes[..], &[json!({ "id": "c", "deps": [] })]].concat();
        let reached = Graph::of(&packages, &nodes).reached_from("a");
        assert_eq!(reached.into_iter().collect::<Vec<_>>(), ["b", "c"]);
    }

    #[test]
    fn this_workspace_is_read_whole() {
        let tree = Tree::read().unwrap();
        assert!(tree.text("Cargo.toml").is_some_and(|text| text.contains("[workspace]")));
        assert!(tree.files.iter().all(|file| !file.path.starts_with("target/")));
        let world = tree.members.iter().find(|member| member.name == "world").unwrap();
        assert_eq!(world.folder, "crates/world");
        assert!(world.reaches.contains("serde_core"), "{:?}", world.reaches);
        assert!(!world.reaches.contains("syn"), "{:?}", world.reaches);
    }
}
