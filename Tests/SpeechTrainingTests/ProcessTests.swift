import Base
import Foundation
import Processes
import Records
import Tensors
import TestSupport
import Testing

@testable import SpeechTraining
@testable import Training

/// Runs of several processes, each a thread here.
extension RunTests {
  private func train(
    _ name: String, _ options: TrainingOptions, processes: Int, resumes: Bool = false,
    observer make: @escaping @Sendable (Int) -> TrainingObserver = { _ in observer() }
  ) -> [Failure?] {
    inGroup(of: processes) { group in
      try train(
        name, options, resumes: resumes, observer: make(group.rank), group: group)
    }.map { result in
      guard case .failure(let error) = result else { return nil }
      return error as? Failure ?? Failure(.internalFault, problem: "\(error)")
    }
  }

  private func allFiles(_ run: String) throws -> [String: [UInt8]] {
    let folders = ["", "/best", "/checkpoints"].map { run + $0 }.filter { folder.has($0) }
    let names = try folders.flatMap { path in
      try ScratchFolder.names(in: folder.file(path)).map { path + "/" + $0 }
    }
    let files = names.filter {
      !folders.contains($0) && !$0.hasSuffix("/progress.jsonl") && !$0.hasSuffix("/events")
    }
    return Dictionary(
      uniqueKeysWithValues: try files.map {
        (String($0.dropFirst(run.count)), try folder.read($0))
      })
  }

  @Test(.timeLimit(.minutes(2)), arguments: [4, 12])
  func anyNumberOfProcessesMakesTheSameRun(accumulate: Int) throws {
    let options = options {
      $0.run.accumulate = accumulate
      $0.run.keepsBest = true
      $0.run.validBatches = 3
      $0.batch = 3
    }
    try train("one", options)
    let (expected, lines) = (try allFiles("one"), try progress("one"))
    #expect(expected.count > 6)
    for processes in [2, 4] {
      let name = "of-\(processes)"
      #expect(train(name, options, processes: processes).allSatisfy { $0 == nil })
      #expect(try allFiles(name) == expected)
      #expect(try progress(name) == lines)
    }
  }

  @Test(.timeLimit(.minutes(2))) func aRunGoesOnWithAnotherNumberOfProcesses() throws {
    let options = options { $0.run.accumulate = 4 }
    try train("whole", options)
    // One of them, not the first, is asked to stop; all do, after the same step.
    for (stops, (first, second)) in [(3, (4, 1)), (5, (2, 4)), (8, (1, 2)), (12, (4, 2))] {
      let name = "run-\(stops)"
      let stopped = train(name, options, processes: first) { rank in
        observer(stoppingAt: rank == first - 1 ? stops : .max)
      }
      #expect(stopped.allSatisfy { $0?.kind == .interrupted }, "\(stopped)")
      #expect(train(name, options, processes: second, resumes: true).allSatisfy { $0 == nil })
      #expect(try model(name) == model("whole"))
      #expect(try progress(name) == progress("whole"))
    }
  }

  @Test(.timeLimit(.minutes(2))) func aFailureOfOneEndsAll() throws {
    let options = options { $0.run.accumulate = 4 }
    func failures(
      of processes: Int, _ body: @escaping @Sendable (ProcessGroup) throws -> Void
    ) -> [Failure?] {
      inGroup(of: processes, body).map { result in
        guard case .failure(let error) = result else { return nil }
        return error as? Failure
      }
    }
    // One cannot read what it needs for its first step.
    let bytes = try folder.read("train-0.ttsr")
    try folder.write(bytes, to: "own.ttsr")
    let trainable = TinyTrainable()
    let corpora = try ["train-0.ttsr", "own.ttsr"].map {
      try Corpus(
        [folder.file($0)], for: trainable, maxSeconds: 30, name: "--train", onRecord: { _ in })
    }
    try FileManager.default.removeItem(atPath: folder.file("own.ttsr"))
    let directory = folder.file("lost")
    let unreadable = failures(of: 4) { group in
      let run = try TrainingRun(
        directory: directory, trainable: TinyTrainable(),
        training: corpora[group.rank == 2 ? 1 : 0], validation: nil, options: options,
        toolVersion: 1, group: group)
      _ = try run.train(resumes: false, observer: observer())
    }
    for failure in unreadable {
      #expect(failure?.kind == .noInput && failure?.subject?.hasSuffix("own.ttsr") == true)
    }
    // The loss of one is no number.
    let broken = failures(of: 2) { group in
      var other = TinyTrainable()
      other.isBroken = group.rank == 1
      _ = try train("broken", options, trainable: other, group: group)
    }
    #expect(broken.allSatisfy { $0?.kind == .badInput && $0 == broken[0] }, "\(broken)")
    // The first cannot write.
    try folder.write("", to: "full/checkpoints")
    let full = train("full", options, processes: 4)
    #expect(full.allSatisfy { $0?.kind == .cannotCreate && $0 == full[0] }, "\(full)")
    try train("late", options)
    try FileManager.default.removeItem(atPath: folder.file("late/checkpoints"))
    try folder.write("", to: "late/checkpoints")
    let late = train("late", options, processes: 2, resumes: true)
    #expect(late.allSatisfy { $0?.subject?.contains("checkpoints") == true }, "\(late)")
    // They were not given the same.
    let unequal = failures(of: 2) { group in
      _ = try train(
        "unequal", options, train: group.isRoot ? "train-*.ttsr" : "train-0.ttsr", group: group)
    }
    #expect(unequal.allSatisfy { $0?.kind == .configuration })
  }

  @Test(.timeLimit(.minutes(1))) func processesShareMicroBatchesEvenly() throws {
    func problem(_ processes: Int, accumulate: Int) throws -> String {
      let failures = train(
        "never", options { $0.run.accumulate = accumulate }, processes: processes)
      #expect(Set(failures.map { $0?.description }).count == 1)
      let failure = try #require(failures[0])
      #expect(failure.kind == .usage)
      return failure.description
    }
    #expect(try problem(3, accumulate: 6).contains("power of two"))
    #expect(try problem(4, accumulate: 6).contains("a multiple of 4, or start at most 2"))
    #expect(try problem(2, accumulate: 1).contains("a multiple of 2, or start one process"))
    #expect(!folder.has("never"))
  }
}
