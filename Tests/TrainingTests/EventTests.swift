import Base
import Foundation
import Glibc
import Processes
import TestSupport
import Testing

@testable import Training

/// A Python that has TensorBoard, where one is named (`TTS_REFERENCE_PYTHON`).
private let tensorBoard: String? = ProcessInfo.processInfo.environment["TTS_REFERENCE_PYTHON"]
  .flatMap { python in
    let result = try? RunningProcess(
      python, ["-c", "import importlib.util as u, sys; sys.exit(not u.find_spec('tensorboard'))"]
    ).wait()
    return result?.code == 0 ? python : nil
  }

@Suite struct EventTests {
  private func hexadecimal(_ bytes: [UInt8]) -> String {
    bytes.map { String(format: "%02x", $0) }.joined()
  }

  private func record(_ content: EventMessage.Content, step: Int) -> String {
    hexadecimal(EventMessage(content: content, step: step, time: 1.5).record)
  }

  @Test func checksumsAreThoseOfTheStandard() {
    #expect(CRC32C.of(Array("123456789".utf8)) == 0xE306_9283)
    #expect(CRC32C.of([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
  }

  /// The bytes were written by TensorBoard 2.21.
  @Test func bytesAreThoseOfTensorBoard() {
    #expect(
      record(.fileVersion, step: 0)
        == "1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c")
    #expect(
      record(.start, step: 300)
        == "100000000000000095fbfe1809000000000000f83f10ac023a020801713b788a")
    #expect(
      record(.scalars([("train/loss", 0.25), ("train/lr", -2)]), step: 7)
        == "31000000000000009d8383e909000000000000f83f10072a240a110a0a747261696e2f6c6f7373150000803e"
        + "0a0f0a08747261696e2f6c7215000000c05b3ce7a7")
    let wav = (0..<200).map { UInt8($0) }
    #expect(
      record(.audio(tag: "samples/1", wav: wav, rate: 24000, samples: 2), step: 7)
        == "fe00000000000000db9e94a009000000000000f83f10072af0010aed010a0973616d706c65732f3132df010d"
        + "0080bb461001180222c801" + hexadecimal(wav) + "2a09617564696f2f776176699577b1")
  }

  /// What is written is the numbers of the log, whole events only; each process has a file of its own.
  @Test func eachProcessBeginsAFileAfterTheOthers() throws {
    let folder = try ScratchFolder()
    try folder.write("", to: "events/events.out.tfevents.9999999996")
    for first in [0, 4] {
      let events = try EventFile(folder: folder.file("events"), from: first)
      try events.add(["train/loss": 1], step: first)
    }
    let names = try ScratchFolder.names(in: folder.file("events"))
    #expect(names.map { $0.suffix(11) } == [".9999999996", ".9999999997", ".9999999998"])
    let bytes = try folder.read("events/" + names[1])
    let loss = EventMessage(content: .scalars([("train/loss", 1)]), step: 0, time: 0).record.count
    // The file's version, the start and one number.
    #expect(bytes.count == 40 + 29 + loss)
  }

  @Test func anEventThatCannotBeWrittenLeavesWholeOnes() throws {
    let folder = try ScratchFolder()
    let events = try EventFile(folder: folder.file("events"), from: 0)
    let name = try #require(try ScratchFolder.names(in: folder.file("events")).first)
    let before = try folder.read("events/" + name)
    var limit = rlimit()
    getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
    signal(SIGXFSZ, SIG_IGN)
    // The limit is the process's: it is more than the tests beside this one write.
    var small = limit
    small.rlim_cur = 64 << 20
    setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &small)
    defer { setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) }
    let wav = [UInt8](repeating: 7, count: 65 << 20)
    #expect(throws: Failure.self) {
      try events.add("samples/1", wav: wav, rate: 24000, samples: 1, step: 1)
    }
    #expect(try folder.read("events/" + name) == before)
    try events.add(["train/loss": 1], step: 1)
    #expect(try folder.read("events/" + name).count > before.count)
  }

  @Test(.enabled(if: tensorBoard != nil)) func tensorBoardReadsThem() throws {
    let folder = try ScratchFolder()
    func log(keepingUpTo step: Int?) throws -> ProgressLog {
      try ProgressLog(
        path: folder.file("progress.jsonl"), keepingUpTo: step, group: .alone,
        events: EventFile(folder: folder.file("events"), from: step.map { $0 + 1 } ?? 0))
    }
    let first = try log(keepingUpTo: nil)
    try first.write("valid", step: 0, metrics: ["flow_diag": 9])
    for step in 1...6 {
      try first.write("train", step: step, ["lr": 0.5], metrics: ["loss": Double(step)])
      try first.add("samples/1", wav: [1, 2, 3], rate: 24000, samples: step, step: step)
    }
    try first.write("valid", step: 6, metrics: ["flow_diag": 5])
    // The process ended without a word after its checkpoint of step 4.
    let second = try log(keepingUpTo: 4)
    try second.write("train", step: 5, ["lr": 0.25], metrics: ["loss": 50])

    let result = try RunningProcess(
      tensorBoard ?? "python3",
      ["\(packageFolder)/Tests/Readers/read_events.py", folder.file("events")]
    ).wait()
    #expect(result.code == 0, "\(result.errors)")
    let found = try JSON.parse(text: result.text)
    func values(_ tag: String) -> [[Double]]? {
      found["scalars"]?[tag]?.array?.map { $0.array?.compactMap(\.double) ?? [] }
    }
    #expect(values("train/loss") == [[1, 1], [2, 2], [3, 3], [4, 4], [5, 50]])
    #expect(values("train/lr") == [[1, 0.5], [2, 0.5], [3, 0.5], [4, 0.5], [5, 0.25]])
    #expect(values("valid/flow_diag") == [[0, 9]])
    let sound = found["audio"]?["samples/1"]?.array
    #expect(sound?.compactMap { $0.array?.first?.integer } == [1, 2, 3, 4])
    #expect(
      sound?.last?.array?.dropFirst() == [
        24000, 4, .string(SHA256Digest(of: [1, 2, 3] as [UInt8]).description),
      ])
  }
}
