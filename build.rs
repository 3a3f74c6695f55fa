//! Compiles the FHIR packages of `fhir-profiles/` into the image that the program embeds, and
//! lists our own conformance resources for [`include_str!`].
//!
//! A package is a folder; they are taken in the order of their names, so that R4 itself comes first
//! and HL7's newer terminology last. The codes of ISO that FHIR refers to are added to them.
//!
//! A package is a folder. Published ones hold `*.ndjson.zst`, a resource per line; ours, `baton`,
//! holds a `*.json` file per resource. A published resource that the compiler cannot use is left
//! out; one of ours stops the build.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use fhir_model::definition::Builder;
use fhir_model::definition::compile::is_example;
use ruzstd::decoding::StreamingDecoder;
use serde_json::Value;

/// Where the packages are, from the root of the project.
const PACKAGES: &str = "fhir-profiles";

/// The folder of our own package.
const OWN_PACKAGE: &str = "baton";

/// The sources of what makes definitions out of resources, here and at run time.
const COMPILERS: &[&str] = &["crates/fhir-model/src", "src/package"];

/// Decompressed bytes that are read at a time.
const BUFFER_BYTES: usize = 1 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={PACKAGES}");
    let out_dir = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets no OUT_DIR")?);

    let mut builder = Builder::new();
    let mut structure_files = Vec::new();
    for file in files(Path::new(PACKAGES), ".ndjson.zst")? {
        if add_published(&mut builder, &file)? {
            structure_files.push(file);
        }
    }
    for code_system in fhir_terminology::iso::code_systems() {
        builder.add(code_system);
    }
    let own = files(&Path::new(PACKAGES).join(OWN_PACKAGE), ".json")?;
    let own = own
        .into_iter()
        .map(OwnResource::read)
        .collect::<Result<Vec<_>, _>>()?;
    let list = own_resources(&own)?;
    let own_urls: BTreeSet<String> = own.iter().filter_map(OwnResource::url).collect();
    for resource in own {
        builder.add(resource.content);
    }

    let (definitions, problems) = builder.finish();
    if let Some(problem) = problems
        .iter()
        .find(|problem| own_urls.contains(&problem.resource))
    {
        return Err(problem.to_string().into());
    }
    let image = definitions.to_image()?;
    println!("cargo::rustc-env=BATON_COMPILER={}", compiler(&image)?);
    fs::write(out_dir.join("definitions.image"), image)?;
    fs::write(out_dir.join("own_resources.rs"), list)?;
    fs::write(
        out_dir.join("structure_files.rs"),
        included(&structure_files),
    )?;
    fs::write(out_dir.join("packages.rs"), packages(Path::new(PACKAGES))?)?;
    Ok(())
}

/// A number that changes with the embedded image and with everything that compiles definitions.
fn compiler(image: &[u8]) -> Result<String, Box<dyn Error>> {
    let mut hasher = DefaultHasher::new();
    image.hash(&mut hasher);
    for folder in COMPILERS {
        println!("cargo::rerun-if-changed={folder}");
        for file in files(Path::new(folder), ".rs")? {
            fs::read(&file)?.hash(&mut hasher);
        }
    }
    Ok(format!("{:016x}", hasher.finish()))
}

/// Rust source: the published packages, by name.
fn packages(folder: &Path) -> Result<String, Box<dyn Error>> {
    let mut rows = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().into_string().unwrap_or_default();
        let version = name.match_indices('-').find(|(at, _)| {
            let next = name.get(at + 1..).unwrap_or_default();
            next.starts_with(|first: char| first.is_ascii_digit())
        });
        if let Some((name, version)) = version.and_then(|(at, _)| name.split_at_checked(at)) {
            let version = version.trim_start_matches('-');
            rows.push(format!(
                "    EmbeddedPackage {{ name: {name:?}, version: {version:?} }},\n"
            ));
        }
    }
    rows.sort();
    Ok(format!("&[\n{}]\n", rows.concat()))
}

/// The files under a folder whose names end so, sorted; none if there is no such folder.
fn files(folder: &Path, ending: &str) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut found = Vec::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(folder) = pending.pop() {
        if !folder.is_dir() {
            continue;
        }
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                pending.push(path);
            } else if path.to_str().is_some_and(|path| path.ends_with(ending)) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Rust source: the bytes of these files.
fn included(files: &[PathBuf]) -> String {
    let row = |file: &PathBuf| {
        let path = format!("/{}", file.display().to_string().replace('\\', "/"));
        format!("    include_bytes!(concat!(env!(\"CARGO_MANIFEST_DIR\"), {path:?})),\n")
    };
    format!("&[\n{}]\n", files.iter().map(row).collect::<String>())
}

/// Adds the resources of a published package, but for its examples. Returns whether there are
/// structures among them.
fn add_published(builder: &mut Builder, file: &Path) -> Result<bool, Box<dyn Error>> {
    let mut has_structures = false;
    let decoder = StreamingDecoder::new(File::open(file)?).map_err(|error| error.to_string())?;
    for line in BufReader::with_capacity(BUFFER_BYTES, decoder).lines() {
        let resource: Value = serde_json::from_str(&line?)?;
        if !is_example(&resource) {
            has_structures |=
                resource.get("resourceType").and_then(Value::as_str) == Some("StructureDefinition");
            builder.add(resource);
        }
    }
    Ok(has_structures)
}

/// A resource of our own package.
struct OwnResource {
    file: PathBuf,
    content: Value,
}

impl OwnResource {
    fn read(file: PathBuf) -> Result<Self, Box<dyn Error>> {
        let content = serde_json::from_str(&fs::read_to_string(&file)?)
            .map_err(|error| format!("{}: {error}", file.display()))?;
        Ok(Self { file, content })
    }

    fn text(&self, property: &str) -> Option<&str> {
        self.content.get(property)?.as_str()
    }

    fn url(&self) -> Option<String> {
        self.text("url").map(str::to_owned)
    }

    fn key(&self) -> Result<(&str, &str), String> {
        let key = self.text("resourceType").zip(self.text("id"));
        key.ok_or_else(|| format!("{}: resourceType or id is missing", self.file.display()))
    }
}

/// Rust source: the list of our own resources, sorted by type and id.
fn own_resources(own: &[OwnResource]) -> Result<String, Box<dyn Error>> {
    let mut rows = Vec::new();
    for resource in own {
        let (resource_type, id) = resource.key()?;
        rows.push((resource_type, id, resource.file.display().to_string()));
    }
    rows.sort();
    let mut source = String::from("&[\n");
    let mut previous = None;
    for (resource_type, id, file) in rows {
        if previous.replace((resource_type, id)) == Some((resource_type, id)) {
            return Err(format!("{file}: there are two {resource_type}/{id}").into());
        }
        let path = format!("/{}", file.replace('\\', "/"));
        writeln!(
            source,
            "    OwnResource {{ resource_type: {resource_type:?}, id: {id:?}, \
             json: include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), {path:?})) }},"
        )?;
    }
    source.push_str("]\n");
    Ok(source)
}
