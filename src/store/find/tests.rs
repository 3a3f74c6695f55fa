//! How SQLite runs searches: by the clustered indexes, never by looking at every row.

use fhir_model::key::{LogicalId, ResourceType};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, SqliteConnection};

use super::*;
use crate::search::expression::{
    Criterion, DateCriterion, Prefix, ReferenceCriterion, StringMatching, TokenCriterion,
};
use crate::search::value::ParameterId;
use crate::store::migrate::migrate;

async fn database() -> SqliteConnection {
    let mut connection = SqliteConnectOptions::new()
        .in_memory(true)
        .connect()
        .await
        .unwrap();
    migrate(&mut Connection::Sqlite(&mut connection))
        .await
        .unwrap();
    connection
}

fn search_for(filters: Vec<Filter>) -> Search {
    Search {
        types: ResourceType::parse("Observation").unwrap().into(),
        filters,
        sort: Vec::new(),
        count: 10,
        after: Some(Cursor {
            values: Vec::new(),
            key: 7,
        }),
        includes: Vec::new(),
        revincludes: Vec::new(),
        total: Total::None,
    }
}

fn any(criterion: Criterion) -> Filter {
    let parameter = ParameterId::new("Observation", "parameter");
    Filter::Any {
        parameter,
        criteria: vec![criterion],
        negated: false,
    }
}

fn token() -> Filter {
    any(Criterion::Token(TokenCriterion::SystemAndCode(
        "system".into(),
        "code".into(),
    )))
}

fn date(prefix: Prefix) -> Filter {
    any(Criterion::Date(DateCriterion {
        prefix,
        low: 1,
        high: 2,
    }))
}

fn text() -> Filter {
    let text = "anna".to_owned();
    any(Criterion::String {
        text,
        matching: StringMatching::StartsWith,
    })
}

fn reference() -> Filter {
    let patient = ResourceType::parse("Patient").unwrap();
    let id = LogicalId::parse("1").unwrap();
    any(Criterion::Reference(ReferenceCriterion::Local(patient, id)))
}

/// The steps of a search with this driver must be these, those through JSON left out.
#[track_caller]
fn check(steps: &[String], expected: &[&str]) {
    let steps: Vec<&str> = steps
        .iter()
        .map(String::as_str)
        .filter(|step| step.starts_with("SEARCH") || step.starts_with("SCAN"))
        .filter(|step| !step.contains("VIRTUAL TABLE"))
        .collect();
    assert_eq!(steps, expected);
}

async fn steps(filters: Vec<Filter>, driver: Driver) -> Vec<String> {
    let search = search_for(filters);
    let mut sparse = vec![false; search.filters.len()];
    if let Driver::Sparse(place) = driver {
        sparse[place] = true;
    }
    let sql = page_of(Dialect::Sqlite, &search, &Plan { driver, sparse }).explained();
    let mut connection = database().await;
    let rows = Connection::Sqlite(&mut connection)
        .fetch(sql)
        .await
        .unwrap();
    rows.iter()
        .map(|row| row.text(3).unwrap().to_owned())
        .collect()
}

const BY_KEY: &str = "SEARCH r USING INTEGER PRIMARY KEY (rowid=?)";

#[tokio::test]
async fn a_token_is_walked_in_the_order_of_keys() {
    let steps = steps(vec![token()], Driver::Ordered(0)).await;
    assert!(
        !steps.iter().any(|step| step.contains("TEMP B-TREE")),
        "{steps:?}"
    );
    check(
        &steps,
        &[
            "SEARCH s USING PRIMARY KEY (parameter=? AND code=? AND system=? AND row_key>?)",
            BY_KEY,
        ],
    );
}

#[tokio::test]
async fn a_reference_is_walked_in_the_order_of_keys() {
    let steps = steps(vec![reference(), text()], Driver::Ordered(0)).await;
    assert!(
        !steps.iter().any(|step| step.contains("ORDER BY")),
        "{steps:?}"
    );
    let index =
        "SEARCH s USING PRIMARY KEY (parameter=? AND target_id=? AND target_type=? AND row_key>?)";
    check(&steps, &[index, BY_KEY]);
}

#[tokio::test]
async fn a_sparse_filter_drives_by_its_index() {
    let by_string = "SEARCH s USING PRIMARY KEY (parameter=? AND normalised>? AND normalised<?)";
    let by_low = "SEARCH s USING PRIMARY KEY (parameter=? AND low>? AND low<?)";
    let below = "SEARCH s USING PRIMARY KEY (parameter=? AND low<?)";
    let above = "SEARCH s USING COVERING INDEX search_date_high (parameter=? AND high>?)";
    for (filter, index) in [
        (text(), by_string),
        (date(Prefix::Eq), by_low),
        (date(Prefix::Lt), below),
        (date(Prefix::Le), below),
        (date(Prefix::Gt), above),
        (date(Prefix::Ge), above),
    ] {
        let steps = steps(vec![filter, token()], Driver::Sparse(0)).await;
        check(&steps, &[BY_KEY, index]);
    }
}

#[tokio::test]
async fn dense_filters_walk_the_resources_of_the_type() {
    let steps = steps(vec![token(), date(Prefix::Ge)], Driver::Walk).await;
    assert!(
        !steps.iter().any(|step| step.contains("ORDER BY")),
        "{steps:?}"
    );
    check(
        &steps,
        &["SEARCH r USING INDEX resource_live (resource_type=? AND rowid>?)"],
    );
}
