use serde_json::json;

use super::*;

fn device(id: u8, name: &str, state: DeviceState) -> DeviceInfo {
    DeviceInfo {
        device: DeviceId::from_bytes([id; 16]),
        name: name.to_owned(),
        platform: "linux".to_owned(),
        admin: id == 1,
        probation_ends_ms: None,
        state,
        revoked_for: None,
        added_at: id.into(),
        added_ms: Some(0),
        added_by: AddedBy::Root,
        may_hold_root_keys: false,
        last_entry_ms: None,
        last_statement_ms: None,
        this: id == 1,
    }
}

fn all() -> Vec<DeviceInfo> {
    vec![
        device(0x11, "laptop", DeviceState::Active),
        device(0x22, "phone", DeviceState::Active),
        device(0x23, "phone", DeviceState::Active),
        device(0x33, "phone box", DeviceState::Active),
        device(0x44, "kiosk", DeviceState::Revoked),
        device(0x55, "kiosk", DeviceState::Active),
    ]
}

#[test]
fn devices_are_found_by_id_label_name_or_the_beginning_of_either() {
    let all = all();
    for (typed, expected) in [
        ("11111111111111111111111111111111", 0x11),
        ("1111", 0x11),
        ("laptop", 0x11),
        ("LAP", 0x11),
        ("phone #34", 0x22),
        ("2323", 0x23),
        ("phone b", 0x33),
        ("kiosk", 0x55),
        ("kiosk #68", 0x44),
        ("44444444444444444444444444444444", 0x44),
    ] {
        let found = find(&all, typed).unwrap();
        assert_eq!(
            found.device,
            DeviceId::from_bytes([expected; 16]),
            "{typed}"
        );
    }
}

#[test]
fn what_means_no_device_or_several_is_refused() {
    let all = all();
    for (typed, reason) in [
        ("", "UNKNOWN_DEVICE"),
        ("tablet", "UNKNOWN_DEVICE"),
        ("111", "UNKNOWN_DEVICE"),
        ("99999999999999999999999999999999", "UNKNOWN_DEVICE"),
        ("phone", "AMBIGUOUS_DEVICE"),
        ("pho", "AMBIGUOUS_DEVICE"),
        ("zz111111111111111111111111111111", "KEY_FORMAT"),
        ("1111111111111111111111111111111111", "KEY_FORMAT"),
    ] {
        assert_eq!(find(&all, typed).unwrap_err().reason, reason, "{typed}");
    }
    let error = find(&all, "phone").unwrap_err();
    for label in ["phone #34", "phone #35"] {
        assert!(error.message.contains(&format!("\"{label}\"")), "{error:?}");
    }
    assert_eq!(error.details["devices"], json!(["phone #34", "phone #35"]));
}

#[test]
fn a_label_means_one_device_whatever_the_others_are_called() {
    let mut all = all();
    for (id, name) in [
        (0x66, "phone #34"),
        (0x67, "phone #34 #102"),
        (0x68, "67676767676767676767676767676767"),
        (0x69, "laptop #17"),
    ] {
        all.push(device(id, name, DeviceState::Active));
    }
    for meant in &all {
        let label = label(meant, &all);
        assert_eq!(find(&all, &label).unwrap().device, meant.device, "{label}");
    }
    let label = |id: u8| {
        label(
            all.iter().find(|d| d.added_at == u64::from(id)).unwrap(),
            &all,
        )
    };
    assert_eq!(label(0x22), "22".repeat(16));
    assert_eq!(label(0x23), "phone #35");
    assert_eq!(label(0x66), "66".repeat(16));
    assert_eq!(label(0x69), "laptop #17 #105");
    // The name of one, and the numbered name of another.
    let meant = DeviceId::from_bytes([0x66; 16]);
    assert_eq!(find(&all, "phone #34").unwrap().device, meant);
}

#[test]
fn one_letter_can_mean_several() {
    let all: Vec<_> = [(0x11, "fridge"), (0x12, "front door"), (0xf3, "kiosk")]
        .map(|(id, name)| device(id, name, DeviceState::Active))
        .into();
    let error = find(&all, "f").unwrap_err();
    assert_eq!(error.reason, "AMBIGUOUS_DEVICE");
    assert_eq!(error.details["devices"], json!(["fridge", "front door"]));
}
