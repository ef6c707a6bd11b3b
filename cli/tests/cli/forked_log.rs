//! S-50: a store that was put back gives a position of the identity log twice. The device that sees
//! it keeps the proof, says what to do, signs nothing more in that log, and records on.

use std::fs;

use edge_ledger_core::identity::Evidence;

use super::process::Up;

#[test]
fn a_store_that_was_put_back_is_proved_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let probation = ["--probation", "0s"].map(AsRef::as_ref);
    let up = Up::start_with(folder.path(), &probation);
    let (phone, laptop) = (up.device("phone"), up.device("laptop"));
    let made = phone.init();
    phone.link(&laptop, "link", &["--admin"]);
    phone.run(&["earn", "40"]).done();
    let store = folder.path().join("server/store.redb");
    let saved = folder.path().join("saved.redb");
    let stopped = up.stop();
    fs::copy(&store, &saved).unwrap();
    let up = stopped.start();
    // What the service said to one device ...
    let renamed = phone.run(&["devices", "rename", "laptop", "one"]).done();
    let position = renamed["log_position"].as_u64().unwrap();
    let stopped = up.stop();
    fs::copy(&saved, &store).unwrap();
    let _up = stopped.start();
    // ... is something else to another one.
    let renamed = laptop.run(&["devices", "rename", "laptop", "other"]).done();
    assert_eq!(renamed["log_position"], position);

    let status = phone.run(&["status"]).done();
    assert_eq!(status["forked_log"]["position"], position, "{status}");
    let file = status["forked_log"]["file"].as_str().unwrap();
    let evidence = Evidence::decode(fs::read(file).unwrap().into()).unwrap();
    assert_eq!(evidence.position(), position);
    assert_eq!(
        evidence.identity().to_string(),
        made["identity"].as_str().unwrap()
    );
    assert_eq!(
        evidence.genesis().ledger_id().to_string(),
        made["ledger_id"].as_str().unwrap()
    );

    // It is remembered, and nothing but the log stops.
    let status = phone.run(&["status"]).done();
    assert_eq!(status["forked_log"]["position"], position);
    let earned = phone.run(&["earn", "2"]).done();
    assert_eq!(
        (&earned["synced"], &earned["balance"]),
        (&false.into(), &"42".into())
    );
    let status = phone.run(&["status"]).done();
    assert_eq!(status["balance"], "42");
    for act in [
        &["devices", "rename", "phone", "x"][..],
        &["rotate"],
        &["recovery", "set"],
    ] {
        phone.run(act).failed(1, "LOG_FORKED");
    }
    let doctor = phone.run(&["doctor"]);
    assert_eq!(doctor.code, Some(1));
    let checks = doctor.json()["checks"].as_array().unwrap().clone();
    let check = checks
        .iter()
        .find(|c| c["check"] == "identity_log")
        .unwrap();
    assert_eq!(check["verdict"], "fail");
    assert!(check["fix"].as_str().unwrap().contains(file), "{check}");
    // The other device, which has the service's branch, knows nothing of it.
    assert_eq!(laptop.run(&["status"]).done().get("forked_log"), None);
    // A person who has seen to it takes the file away; here nothing has changed, so it is told anew.
    fs::rename(file, folder.path().join("evidence")).unwrap();
    let mut agent = phone.agent(&[]);
    let told = agent.event("log_forked");
    assert_eq!(
        (&told["position"], &told["file"]),
        (&position.into(), &file.into())
    );
}
