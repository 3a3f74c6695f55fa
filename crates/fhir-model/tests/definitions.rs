//! The compiler of definitions on the R4 core package.
use fhir_model::definition::*;
use std::io::Read;
use std::time::Instant;

fn load(name: &str) -> String {
    let path = format!("{}/../../fhir-profiles/hl7.fhir.r4.core-4.0.1/{name}", env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    let file = std::fs::File::open(path).unwrap();
    ruzstd::decoding::StreamingDecoder::new(file).unwrap().read_to_string(&mut text).unwrap();
    text
}

#[test]
fn core() {
    let t = Instant::now();
    let a = load("r4-core-structures.ndjson.zst");
    let b = load("r4-core-terminology.ndjson.zst");
    println!("unzip {:?}", t.elapsed());
    let t = Instant::now();
    let mut builder = Builder::new();
    for line in a.lines().chain(b.lines()) {
        builder.add_json(line).unwrap();
    }
    println!("parse {:?}", t.elapsed());
    let t = Instant::now();
    let (d, p) = builder.finish();
    println!("compile {:?} {d:?}", t.elapsed());
    for p in &p { println!("{p}"); }
    let t = Instant::now();
    let image = d.to_image().unwrap();
    println!("write {:?} {}", t.elapsed(), image.len());
    let t = Instant::now();
    let e = Definitions::from_image(&image).unwrap();
    println!("read {:?}", t.elapsed());
    let t = Instant::now();
    assert!(d == e);
    println!("{:?} {} names", t.elapsed(), d.names().len());
    println!("{}", d.resource_types().count());
}
