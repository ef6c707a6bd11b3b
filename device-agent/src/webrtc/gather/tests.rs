use super::*;

fn chosen(addresses: &[&str], reach: Reach) -> Vec<String> {
    let addresses = addresses.iter().map(|text| text.parse().unwrap());
    let chosen = choose(addresses, reach);
    chosen.iter().map(ToString::to_string).collect()
}

#[test]
fn addresses_that_lead_elsewhere_are_chosen() {
    let all = [
        "127.0.0.1",
        "::1",
        "192.168.1.7",
        "10.0.0.7",
        "10.0.0.7",
        "fe80::7",
        "169.254.3.4",
        "2001:db8::7",
    ];
    let outward = ["10.0.0.7", "192.168.1.7", "2001:db8::7"];
    assert_eq!(chosen(&all, Reach::Host), outward);
    let with_loopback = [&["127.0.0.1", "::1"], &outward[..]].concat();
    assert_eq!(chosen(&all, Reach::LoopbackToo), with_loopback);
}

#[test]
fn a_machine_alone_has_its_loopback() {
    let alone = ["fe80::7", "127.0.0.1"];
    assert_eq!(chosen(&alone, Reach::Host), ["127.0.0.1"]);
    assert!(chosen(&["fe80::7"], Reach::Host).is_empty());
}

#[test]
fn there_is_a_limit() {
    let many: Vec<_> = (0..50).map(|at| format!("10.0.0.{at}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    assert_eq!(chosen(&many, Reach::Host).len(), LINK_ADDRESSES_MAX);
}
