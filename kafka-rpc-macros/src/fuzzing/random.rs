//! The checks on random input, and on the corpus of the fuzz targets.

use std::{fs, path::Path};

use proptest::{collection::vec, prelude::*};

use super::{source, words};

/// Source text made of words.
fn written() -> impl Strategy<Value = String> {
    vec(any::<u8>(), 0..80).prop_map(|bytes| words::written(&bytes))
}

/// Source text made of words, with other characters somewhere in between.
fn broken() -> impl Strategy<Value = String> {
    let between = r#"[-,=()<>"'a-z0-9#$:;._{}]{0,6}|\PC{0,6}"#;
    (written(), any::<prop::sample::Index>(), between).prop_map(|(mut text, at, between)| {
        let at = text.floor_char_boundary(at.index(text.len()));
        text.insert_str(at, &between);
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    #[test]
    fn what_words_are_expanded_to_is_rust_or_an_error_and_keeps_the_item(text in written()) {
        source(&text);
    }

    #[test]
    fn what_broken_words_are_expanded_to_is_rust_or_an_error_and_keeps_the_item(text in broken()) {
        source(&text);
    }
}

fn each_of_the_corpus(target: &str, check: impl Fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let files = fs::read_dir(&corpus).expect("the corpus").map(|file| file.expect("a file").path());
    let files: Vec<_> = files.collect();
    assert!(!files.is_empty(), "{} holds nothing", corpus.display());
    for file in files {
        println!("{}", file.display());
        check(&fs::read(&file).expect("a file"));
    }
}

#[test]
fn the_corpus_of_texts_holds() {
    each_of_the_corpus("attribute_text", |text| source(&String::from_utf8_lossy(text)));
}

#[test]
fn the_corpus_of_words_holds() {
    each_of_the_corpus("attribute_words", words::words);
}
