import Base
import Filters
import ModelInterface
import ModelRegistry
import Records
import Tensors

extension Synth {
  func stage() throws -> StageParameters {
    let model = try ModelRegistry.open(model)
    func value<Number: CustomStringConvertible>(_ number: Number?) -> String {
      number.map { "\($0)" } ?? "default"
    }
    var models = ["synthesizer": try model.synthesizerDigest().description]
    if let voice {
      let file = try model.voicePath(voice)
      models["voice"] = SHA256Digest(of: try readFile(file)).description
    }
    return StageParameters(
      [
        "temperature": value(speech.temperature), "decode-steps": "\(speech.decodeSteps)",
        "noise-clamp": value(speech.noiseClamp), "seed": "\(seed.seed)",
        "eos-threshold": value(speech.eosThreshold),
        "frames-after-eos": value(speech.framesAfterEos), "max-frames": value(speech.maxFrames),
        "max-tokens": "\(speech.maxTokens)", "precision": speech.precision.rawValue,
        "loudness": loudness.map { "\($0)" } ?? "keep",
      ], models: models)
  }

  func execute(_ run: ToolRun) throws {
    if stageID.isAsked { return try printStageID(Self.tool, stage()) }
    if let exportVoice { return try export(to: exportVoice, run) }
    // The output comes first, so that whoever reads it is told of everything that fails after it.
    let sink = try makeSink(run)
    var utterances: Utterances?
    do {
      if text == nil { utterances = try Utterances(input, inputFormat) }
      let model = try ModelRegistry.open(model)
      let speaker = try Speaker(self, model: model, sink: sink, run)
      try sink.begin(rate: speaker.sampleRate)
      var rejected = RejectCount(limit: rejects.maxRejected)
      func say(_ utterance: Utterance, header: StreamHeader) throws {
        try sink.follow(header)
        let record = utterance.record
        guard !record.isRejected else {
          try sink.pass(record)
          while let part = try utterances?.nextPart() { try sink.pass(part) }
          return
        }
        rejected.addID()
        do {
          try speaker.say(utterance) { try utterances?.nextText() }
        } catch var failure as Failure where failure.kind == .badInput {
          failure.record = failure.record ?? record.id
          guard rejects.onError == .reject, text == nil else { throw failure }
          run.warn(failure.description)
          run.count("rejected")
          try sink.reject(record, "\(Self.tool.name): \(failure.problem)")
          try rejected.addRejected(id: record.id, reason: failure.problem)
        }
      }
      if let text {
        var record = Record(id: "text")
        record.text = text
        try say(Utterance(record: record), header: StreamHeader())
      } else if let utterances {
        while let utterance = try utterances.next() {
          try run.checkInterrupted()
          try say(utterance, header: utterances.input.header)
        }
        sink.add(from: utterances.input.digest)
      }
      try sink.finish()
    } catch {
      sink.abort(error, reading: utterances?.input)
      throw error
    }
  }

  private func makeSink(_ run: ToolRun) throws -> any SpeechSink {
    let sink: any SpeechSink =
      switch format {
      case _ where play: try PlayerSink()
      case .ttsr:
        RecordSink(
          output: try RecordOutput(output, run), stage: try stage(), tool: Self.tool, run: run)
      case .wav: try SampleSink(path: output.output, encoding: .wav)
      case .s16le: try SampleSink(path: output.output, encoding: .int16)
      case .f32le: try SampleSink(path: output.output, encoding: .float32)
      }
    return loudness.map { LoudnessSink(sink, target: $0) } ?? sink
  }

  private func export(to path: String, _ run: ToolRun) throws {
    let model = try ModelRegistry.open(model)
    let synthesizer = try model.synthesizer(precision: speech.precision)
    let voice = try Voices(model: model, synthesizer: synthesizer).voice(voice ?? "")
    try voice.write(to: path)
    run.say("\(voice.positions) positions: \(path)")
  }
}
