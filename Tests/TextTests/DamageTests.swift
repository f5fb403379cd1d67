import Base
import Foundation
import TestSupport
import Testing

@testable import Text

/// Whatever is done to a tokenizer's file, it loads and works, or is refused; nothing else happens.
private func survive(_ bytes: [UInt8], kind: TokenizerKind) throws {
  let tokenizer = try makeTokenizer(bytes, kind: kind)
  for text in ["Hello, wörld! 1984 ½ 中文", "", " a  b ", "<s>[laugh] x\u{0}\u{FFFD}"] {
    let ids = try? tokenizer.encode(text)
    if let ids { _ = try? tokenizer.decode(ids) }
  }
  _ = try? tokenizer.decode((0..<40).map { Int32($0) * 17 % Int32(max(tokenizer.size, 1)) })
}

@Test(arguments: [
  "mapped.model", "bpe.model", "symbols.model", "no_bytes.model", "char.model", "suffix.model",
])
func damagedModelsAreRefused(file: String) throws {
  // Half of the damage falls on the end, where the settings stand.
  try fuzz(file, [try fixtureBytes(file)], rounds: 150, tail: 200, refusals: [.configuration]) {
    try survive($0, kind: .sentencePiece)
  }
}

@Test(arguments: ["mapped.json", "bpe_whole.json", "accents.json"])
func damagedJSONIsRefused(file: String) throws {
  try fuzz(file, [try fixtureBytes(file)], rounds: 150, tail: 200, refusals: [.configuration]) {
    try survive($0, kind: .huggingFace)
  }
}

@Test func cutModelsAreRefused() throws {
  let bytes = try fixtureBytes("bpe.model")
  for length in stride(from: 0, to: bytes.count, by: 37) {
    do {
      try survive(Array(bytes[..<length]), kind: .sentencePiece)
    } catch let failure as Failure { #expect(failure.kind == .configuration) }
  }
  #expect(throws: Failure.self) { try makeTokenizer(Array(bytes.dropLast(9))) }
}

/// The failure that loading ends in.
private func failure(_ text: String) -> Failure? {
  do {
    _ = try makeTokenizer(Array(text.utf8))
    return nil
  } catch {
    return error as? Failure
  }
}

@Test func whatIsNoTokenizerIsCalledThat() {
  for text in ["", "{}", "[]", "RIFF", #"{"version": "1.0", "added_tokens": []}"#, "\n\n\n"] {
    #expect(failure(text)?.kind == .configuration, "\(text)")
  }
}

@Test func unsupportedComponentsAreNamed() {
  let model = #""model": {"type": "Unigram", "vocab": [["a", 0]], "unk_id": 0}"#
  for (rest, name) in [
    (#""normalizer": {"type": "BertNormalizer"}"#, "BertNormalizer"),
    (#""pre_tokenizer": {"type": "ByteLevel"}"#, "ByteLevel"),
    (#""decoder": {"type": "WordPiece"}"#, "WordPiece"),
    (#""post_processor": {"type": "TemplateProcessing"}"#, "post_processor"),
    (#""truncation": {"max_length": 3}"#, "truncation"),
    (
      #""normalizer": {"type": "Replace", "pattern": {"Regex": "a|b"}, "content": ""}"#,
      "a|b"
    ),
  ] {
    let found = failure("{\(model), \(rest)}")
    #expect(found?.kind == .configuration)
    #expect(found?.problem.contains(name) == true, "\(found?.problem ?? "")")
  }
  #expect(
    failure(#"{"model": {"type": "WordPiece", "vocab": {}}}"#)?.problem.contains("WordPiece")
      == true)
}

@Test func idsOutsideTheVocabularyAreRefused() throws {
  for file in ["bpe.model", "bpe.json"] {
    let tokenizer = try loadTokenizer(path: otherFixtures + "/" + file)
    for id in [-1, Int32(tokenizer.size), .max, .min] {
      #expect(throws: Failure.self) { try tokenizer.decode([5, id]) }
    }
  }
}

@Test func missingFilesAndFolders() {
  #expect(throws: Failure.self) { try loadTokenizer(path: "/nonexistent/tokenizer.model") }
  #expect(throws: Failure.self) { try loadTokenizer(path: "/tmp") }
}
