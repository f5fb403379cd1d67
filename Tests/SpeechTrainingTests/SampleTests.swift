import Base
import Foundation
import ModelInterface
import Tensors
import TestSupport
import Testing

@testable import SpeechTraining
@testable import Training

@Suite struct SampleTests {
  let folder: ScratchFolder

  init() throws {
    folder = try ScratchFolder()
    try writeShard(folder.file("train.ttsr"), ids: 0..<20)
    try folder.write("a voice", to: "me.safetensors")
    try folder.write("another voice", to: "you.safetensors")
  }

  private func train(
    _ run: String, steps: Int = 6, every: Int = 2, texts: [String] = ["one", "two"],
    voices: [String] = ["me", "you"], resumes: Bool = false,
    observer: TrainingObserver = observer()
  ) throws {
    var options = TrainingOptions()
    options.run.steps = steps
    options.batch = 4
    options.rate = LearningRate(highest: 0.05, warmup: 1)
    options.run.checkpointEvery = 3
    options.run.averageDecay = 0.5
    options.run.sampleEvery = every
    options.samples.texts = texts
    options.samples.voices = voices.map {
      SampleRequest.Voice(name: $0, path: folder.file($0 + ".safetensors"))
    }
    let trainable = TinyTrainable()
    let corpus = try Corpus(
      [folder.file("train.ttsr")], for: trainable, maxSeconds: 30, name: "", onRecord: { _ in })
    _ = try TrainingRun(
      directory: folder.file(run), trainable: trainable, training: corpus, validation: nil,
      options: options, toolVersion: 1
    ).train(resumes: resumes, observer: observer)
  }

  private func samples(_ run: String) throws -> [String: [UInt8]] {
    let names = try ScratchFolder.names(in: folder.file(run + "/samples"))
    return try Dictionary(
      uniqueKeysWithValues: names.map { ($0, try folder.read(run + "/samples/" + $0)) })
  }

  private func logged(_ run: String) throws -> [JSON] {
    try folder.read(run + "/progress.jsonl").split(separator: 10)
      .map { try JSON.parse(Array($0)) }.filter { $0["type"] == "samples" }
  }

  @Test func samplesTellOfEachStepAndChangeNothing() throws {
    try train("with")
    try train("without", every: 0)
    #expect(
      try folder.read("with/model.safetensors") == folder.read("without/model.safetensors"))
    #expect(!folder.has("without/samples"))
    let made = try samples("with")
    #expect(
      made.keys.sorted()
        == [0, 2, 4, 6].flatMap { step in
          ["1-me", "1-you", "2-me", "2-you"].map { "step0000000\(step)-\($0).wav" }
        })
    // Each depends on the weights, the voice and the text.
    #expect(Set(made.values).count == made.count)
    let lines = try logged("with")
    #expect(lines.map { $0["step"]?.integer } == [0, 2, 4, 6])
    let first = try #require(lines[0]["samples"]?.array?.first)
    #expect(first["file"] == "step00000000-1-me.wav" && first["text"] == "one")
    #expect(first["voice"] == "me" && first["ended"] == true)
  }

  @Test func aContinuedRunSaysTheSame() throws {
    try train("whole", steps: 7)
    let expected = try samples("whole")
    #expect(expected["step00000007-1-me.wav"] != nil)
    for polls in [1, 2, 5, 9, 17, 18, 19, 24, 33, 37, 50, 63, 75] {
      let run = "part-\(polls)"
      let stopped = #expect(throws: Failure.self) {
        try train(run, steps: 7, observer: observer(stoppingAt: polls))
      }
      #expect(stopped?.kind == .interrupted)
      try train(run, steps: 7, resumes: true)
      #expect(try samples(run) == expected, "interrupted at \(polls)")
      #expect(try logged(run).map { $0["samples"] } == logged("whole").map { $0["samples"] })
    }
  }

  @Test func samplesOfStepsThatNeverWereAreRemoved() throws {
    try train("run", steps: 4)
    for name in ["step00000006-1-me.wav", ".step00000004-1-me.wav.tmp-1", "step00000006.wav"] {
      try folder.write("old", to: "run/samples/" + name)
    }
    try train("run", steps: 5, resumes: true)
    let names = try samples("run").keys
    #expect(!names.contains("step00000006-1-me.wav") && names.contains("step00000005-1-me.wav"))
    #expect(!names.contains(".step00000004-1-me.wav.tmp-1") && names.contains("step00000006.wav"))
  }

  @Test func speechThatDoesNotEndIsCutAndSaidToBe() throws {
    let lines = Locked<[String]>([])
    try train(
      "run", steps: 1, texts: ["endless", "late"], voices: [], observer: observer(lines: lines))
    // 30 s at the rate of 100.
    #expect(try samples("run")["step00000001-1.wav"]?.count == 44 + 2 * 3000)
    let told = try #require(try logged("run").last?["samples"]?.array)
    #expect(told.map { $0["ended"] } == [false, false])
    #expect(told.map { $0["voice"] } == [.null, .null])
    #expect(
      lines.withLock {
        $0.contains { $0.contains("step00000001-1.wav: the speech did not end by itself") }
      })
  }

  @Test func whatCannotBeWrittenEndsNothing() throws {
    try folder.write("a file in the way", to: "run/samples")
    let lines = Locked<[String]>([])
    try train("run", observer: observer(lines: lines))
    try train("without", every: 0)
    #expect(try folder.read("run/model.safetensors") == folder.read("without/model.safetensors"))
    #expect(lines.withLock { $0.filter { $0.hasPrefix("warning: step0000") }.count } == 16)

    // One text of two cannot be said.
    lines.withLock { $0 = [] }
    try train("mute", texts: ["one", "mute"], observer: observer(lines: lines))
    #expect(try samples("mute").count == 8)
    #expect(lines.withLock { $0.filter { $0.hasPrefix("warning: step0000") }.count } == 8)
  }

  @Test func aVoiceThatIsNoneIsToldBeforeTheRunBegins() throws {
    let failure = #expect(throws: Failure.self) { try train("run", voices: ["me", "nobody"]) }
    #expect(failure?.kind == .noInput && failure?.subject?.hasSuffix("nobody.safetensors") == true)
    #expect(!folder.has("run"))
  }
}
