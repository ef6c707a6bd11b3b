use super::*;

fn code(text: &str) -> String {
    let code = blank_texts(text);
    assert_eq!(code.len(), text.len(), "columns stay: {code}");
    assert_eq!(code.lines().count(), text.lines().count());
    code.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn comments_are_no_code() {
    assert_eq!(code("a // b\nc"), "a c");
    assert_eq!(code("a /* b /* c */ d\n */ e"), "a e");
    assert_eq!(code("//! x\n/// y\nz"), "z");
    assert_eq!(code("a /* open"), "a");
}

#[test]
fn literals_are_no_code() {
    assert_eq!(code(r#"f("{ // \" ", b"x", c"y") g"#), "f( , b , c ) g");
    assert_eq!(code(r##"f(r"\", r#"a"b"#, br"c") g"##), "f( , , b ) g");
    assert_eq!(
        code("f('{', '\\'', b'\"', 'é', '漢') g"),
        "f( , , b , , ) g"
    );
    assert_eq!(code("a \"open"), "a");
}

#[test]
fn lifetimes_and_raw_names_are_code() {
    assert_eq!(code("fn f<'a>(x: &'a str) {}"), "fn f<'a>(x: &'a str) {}");
    assert_eq!(code("r#type r#\"x\"# for"), "r#type for");
    assert_eq!(code("bar\"x\"; _r\"y\""), "bar ; _r");
}

#[test]
fn what_only_tests_see_is_not_shipped() {
    let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() { x[1; 2] }\n}\nfn c() {}\n\
                #[cfg(test)]\nuse d::{E, F};\n#[cfg(test)]\nmod tests;\nfn g() {}\n";
    let shipped = blank_tests(text);
    assert_eq!(shipped.lines().count(), text.lines().count());
    let left: Vec<&str> = shipped
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    // A brace of an import ends it as well; the `;` that is left is no matter.
    assert_eq!(left.len(), 4, "{left:?}");
    assert_eq!(
        left.concat().replace([' ', ';'], ""),
        "fna(){}fnc(){}fng(){}"
    );
}

#[test]
fn words_stand_by_themselves() {
    assert_eq!(words("tokio tokios _tokio tokio::x", "tokio").count(), 2);
    assert_eq!(words("dbg!(x) my_dbg!(x)", "dbg!").count(), 1);
    assert_eq!(words("rand::rng() strand::x", "rand::").count(), 1);
}

#[test]
fn lines_count_from_one() {
    assert_eq!(line_of("a\nb", 0), 1);
    assert_eq!(line_of("a\nb", 2), 2);
}

#[test]
fn test_folders_and_test_files_are_tests() {
    let is_test = |path: &str| {
        let file = File {
            path: String::from(path),
            text: String::new(),
        };
        RustSource::new(&file).is_test()
    };
    assert!(is_test("tests/src/harness.rs"));
    assert!(is_test("crates/core/tests/it/main.rs"));
    assert!(is_test("cli/src/words/tests.rs"));
    assert!(!is_test("cli/src/contests.rs"));
}
