import Base
import Foundation
import Glibc

/// A file of TensorBoard events, one for each process of a run: `events/events.out.tfevents.TIME`.
///
/// Each begins with the step that it goes on from, at which TensorBoard drops what earlier files hold of
/// later steps, so that a continued run reads as one.
final class EventFile {
  private let path: String
  private let descriptor: Int32
  /// Bytes of whole events.
  private var size = 0

  /// Begins a file.
  ///
  /// - Parameters:
  ///   - folder: created where it is missing.
  ///   - first: the first step that this process will tell of.
  init(folder: String, from first: Int) throws {
    try createDirectory(folder)
    path = folder + "/" + Self.prefix + Self.newTime(folder)
    descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else {
      throw Failure.systemCall("create", path, writing: true, code: errno)
    }
    try write(.fileVersion, step: 0)
    try write(.start, step: first)
  }

  deinit { close(descriptor) }

  private static let prefix = "events.out.tfevents."

  /// TensorBoard reads files in the order of their names: a new one is the last, whatever the clock says.
  private static func newTime(_ folder: String) -> String {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    let last = names.compactMap { name in
      name.hasPrefix(prefix) ? Int(name.dropFirst(prefix.count).prefix { $0 != "." }) : nil
    }.filter { $0 < 1 << 40 }.max()
    return padded(max(Int(time(nil)), (last ?? 0) + 1), to: 10)
  }

  /// Adds numbers.
  func add(_ scalars: [String: Double], step: Int) throws {
    guard !scalars.isEmpty else { return }
    let sorted = scalars.sorted { $0.key < $1.key }.map { (tag: $0.key, value: Float($0.value)) }
    try write(.scalars(sorted), step: step)
  }

  /// Adds sound: a WAV file of one channel.
  func add(_ tag: String, wav: [UInt8], rate: Int, samples: Int, step: Int) throws {
    try write(.audio(tag: tag, wav: wav, rate: rate, samples: samples), step: step)
  }

  private func write(_ content: EventMessage.Content, step: Int) throws {
    let now = Date().timeIntervalSince1970
    let record = EventMessage(content: content, step: step, time: now).record
    do {
      try record.withUnsafeBytes { try writeAll($0, to: descriptor, path: path) }
    } catch {
      // Readers stop at an event that is cut short, and miss what follows it.
      if ftruncate(descriptor, off_t(size)) == 0 { lseek(descriptor, off_t(size), SEEK_SET) }
      throw error
    }
    size += record.count
  }

  /// Sees to it that all events are on the disk.
  func synchronize() { fsync(descriptor) }
}
