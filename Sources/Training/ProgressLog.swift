import Base
import Foundation
import Glibc
import Processes

/// `progress.jsonl`: one JSON object a line, in the official trainer's form. A continued run cuts
/// off what lies past its checkpoint, so that the file reads as one run.
final class ProgressLog {
  private let path: String
  /// -1 in a process that leaves writing to another.
  private var descriptor: Int32
  /// The type and step of each line but the `train` ones.
  private var noted: Set<String> = []
  /// The validations so far, in order.
  private(set) var validations: [(step: Int, metrics: [String: Double])] = []
  /// Gets the same numbers, for TensorBoard.
  private let events: EventFile?

  /// Opens the log.
  ///
  /// - Parameters:
  ///   - step: lines of later steps are removed; nil begins anew.
  ///   - group: the processes that need to know it; its root writes.
  ///   - events: gets the numbers too.
  init(
    path: String, keepingUpTo step: Int?, group: ProcessGroup, events: EventFile? = nil
  ) throws {
    self.path = path
    self.events = events
    descriptor = -1
    let kept: [UInt8] = try group.fromRoot {
      let kept = step.map { Self.lines(of: path, upTo: $0) } ?? []
      try AtomicFile.write(kept, to: path)
      descriptor = open(path, O_WRONLY | O_APPEND | O_CLOEXEC)
      guard descriptor >= 0 else {
        throw Failure.systemCall("open", path, writing: true, code: errno)
      }
      return kept
    }
    for line in kept.split(separator: 10) {
      guard let json = try? JSON.parse(Array(line)), let number = json["step"]?.integer else {
        continue
      }
      note(json["type"]?.string ?? "", number, json["metrics"])
    }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  private static func lines(of path: String, upTo step: Int) -> [UInt8] {
    guard let data = FileManager.default.contents(atPath: path) else { return [] }
    let lines = data.split(separator: 10).filter { line in
      (try? JSON.parse(Array(line)))?["step"]?.integer.map { $0 <= step } ?? false
    }
    return lines.flatMap { $0 + [10] }
  }

  /// Whether there is a line of a type, other than `train`, for a step.
  func has(_ type: String, _ step: Int) -> Bool { noted.contains("\(type) \(step)") }

  private func note(_ type: String, _ step: Int, _ metrics: JSON?) {
    if type != "train" { noted.insert("\(type) \(step)") }
    if type == "valid" {
      validations.append((step, metrics?.object?.compactMapValues(\.double) ?? [:]))
    }
  }

  /// Adds a line.
  func write(
    _ type: String, step: Int, _ members: [String: JSON] = [:], metrics: [String: Double]? = nil
  ) throws {
    var object = members
    object["type"] = .string(type)
    object["step"] = .integer(Int64(step))
    object["time"] = .string(Self.time())
    if let metrics { object["metrics"] = .object(metrics.mapValues { Self.number($0) }) }
    if descriptor >= 0 {
      let line = JSON.object(object).canonicalBytes + [10]
      try line.withUnsafeBytes { try writeAll($0, to: descriptor, path: path) }
    }
    note(type, step, object["metrics"])
    guard type == "train" || type == "valid" else { return }
    let numbers = members.compactMapValues(\.double).merging(metrics ?? [:]) { $1 }
    try events?.add(
      Dictionary(uniqueKeysWithValues: numbers.map { ("\(type)/\($0.key)", $0.value) }),
      step: step)
    if type == "valid" { events?.synchronize() }
  }

  /// Adds sound to the events, where there are any.
  func add(_ tag: String, wav: [UInt8], rate: Int, samples: Int, step: Int) throws {
    try events?.add(tag, wav: wav, rate: rate, samples: samples, step: step)
  }

  /// Sees to it that all lines are on the disk.
  func synchronize() {
    if descriptor >= 0 { fsync(descriptor) }
    events?.synchronize()
  }

  /// JSON has no infinities.
  static func number(_ value: Double) -> JSON { value.isFinite ? .number(value) : .null }

  private static func time() -> String {
    var now = Glibc.time(nil)
    var parts = tm()
    localtime_r(&now, &parts)
    var text = [CChar](repeating: 0, count: 40)
    let count = strftime(&text, text.count, "%Y-%m-%d %H:%M:%S%z", &parts)
    return String(decoding: text.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
