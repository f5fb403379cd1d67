import ArgumentParser
import Base
import Filters
import Records
import Safetensors

/// How two streams differ.
struct Diff: Tool {
  static let tool = ToolDescription(
    name: "tts-stream diff", abstract: "Say how the records of two streams differ.",
    examples: [
      "tts-stream diff before.ttsr after.ttsr", "tts-vad new.ttsr | tts-stream diff old.ttsr -",
    ],
    discussion: """
      Compares content, not compressed bytes. Ends with 0 when the records are the same in the same \
      order, else with 1 and a line for each difference: < only in the first, > only in the second, \
      ! different in what.
      """)
  @Flag(help: "The same records in another order are no difference.") var anyOrder = false
  @Flag(help: "The headers must be the same too.") var header = false
  @Argument(
    help: ArgumentHelp("A record file; - is standard input.", valueName: "file"),
    completion: .file(extensions: ["ttsr"]))
  var left: String
  @Argument(
    help: ArgumentHelp("Another; - is standard input.", valueName: "file"),
    completion: .file(extensions: ["ttsr"]))
  var right: String
  @OptionGroup(title: "General") var common: CommonOptions

  func execute(_ run: ToolRun) throws {
    let output = try ByteOutput(path: nil)
    let (leftReader, rightReader) = (try openStream(left), try openStream(right))
    var comparison = Comparison(output: output)
    while true {
      try run.checkInterrupted()
      let (one, other) = (try leftReader.next(), try rightReader.next())
      if one == nil, other == nil { break }
      try comparison.take(one, other)
    }
    try comparison.end()
    if header, leftReader.headers != rightReader.headers {
      comparison.count += 1
      try output.write("! headers\n")
    }
    if comparison.isOutOfOrder, !anyOrder {
      comparison.count += 1
      try output.write("! order\n")
    }
    try output.finish()
    if comparison.count > 0 { throw Failure.differs(left, right) }
  }
}

/// Two streams side by side: what has no partner yet waits as a hash.
private struct Comparison {
  let output: ByteOutput
  var count = 0
  var isOutOfOrder = false
  private var lonely: (left: [String: [SHA256Digest]], right: [String: [SHA256Digest]]) = ([:], [:])

  init(output: ByteOutput) { self.output = output }

  mutating func take(_ left: Record?, _ right: Record?) throws {
    if let left, let right, left.name == right.name {
      let difference = try left.difference(from: right)
      if !difference.isEmpty { try say("! \(left.name) \(difference.joined(separator: " "))") }
      return
    }
    if let left { try match(left, \.right, \.left) }
    if let right { try match(right, \.left, \.right) }
  }

  private mutating func match(
    _ record: Record,
    _ others: WritableKeyPath<
      (left: [String: [SHA256Digest]], right: [String: [SHA256Digest]]), [String: [SHA256Digest]]
    >,
    _ own: WritableKeyPath<
      (left: [String: [SHA256Digest]], right: [String: [SHA256Digest]]), [String: [SHA256Digest]]
    >
  ) throws {
    let hash = SHA256Digest(of: try record.encoded())
    if var waiting = lonely[keyPath: others][record.name] {
      let first = waiting.removeFirst()
      lonely[keyPath: others][record.name] = waiting.isEmpty ? nil : waiting
      isOutOfOrder = true
      if first != hash { try say("! \(record.name)") }
    } else {
      lonely[keyPath: own][record.name, default: []].append(hash)
    }
  }

  mutating func end() throws {
    for (sign, names) in [("<", lonely.left), (">", lonely.right)] {
      for name in names.keys.sortedByCodePoints {
        for _ in names[name] ?? [] { try say("\(sign) \(name)") }
      }
    }
  }

  private mutating func say(_ line: String) throws {
    count += 1
    try output.write(line + "\n")
  }
}

extension Record {
  /// The id, with the part where there are several.
  fileprivate var name: String { part.map { "\(id)#\($0)" } ?? id }

  /// The names of texts and arrays that are not the same.
  fileprivate func difference(from other: Record) throws -> [String] {
    let texts = Set(metadata.keys).union(other.metadata.keys).filter { key in
      metadata[key].map { Array($0.utf8) } != other.metadata[key].map { Array($0.utf8) }
    }
    let values = Set(arrays.keys).union(other.arrays.keys).filter { arrays[$0] != other.arrays[$0] }
    return texts.sortedByCodePoints + values.sortedByCodePoints.map { $0 + "[]" }
  }
}
