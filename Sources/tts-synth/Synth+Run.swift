import Base
import Filters
import ModelInterface
import ModelRegistry
import Records
import Speaking
import Tensors

extension Synth {
  func stage() throws -> StageParameters {
    let model = try speech.model(model)
    var models = ["synthesizer": try model.synthesizerDigest().description]
    if let voice {
      let file = try model.voicePath(voice)
      models["voice"] = SHA256Digest(of: try readFile(file)).description
    }
    var parameters = speech.parameters
    parameters["seed"] = "\(seed.seed)"
    parameters["loudness"] = loudness.map { "\($0)" } ?? "keep"
    return StageParameters(parameters, models: models)
  }

  func execute(_ run: ToolRun) throws {
    if stageID.isAsked { return try printStageID(Self.tool, stage()) }
    if let exportVoice { return try export(to: exportVoice, run) }
    // The output comes first, so that whoever reads it is told of everything that fails after it.
    let sink = try makeSink(run)
    do {
      let utterances = text == nil ? try Utterances(input, inputFormat) : nil
      let speaker = try Speaker(self, model: try speech.model(model), run)
      try sink.begin(rate: speaker.sampleRate)
      if let text {
        var record = Record(id: "text")
        record.text = text
        try sink.follow(StreamHeader())
        try speaker.say(Utterance(record: record), { nil }, into: sink)
      } else if let utterances {
        var outcome = Outcome(sink: sink, rejects: rejects, run: run)
        if batch == 1 {
          try sayInTurn(utterances, speaker, &outcome)
        } else {
          try BatchRun(batch, speaker).perform(utterances, &outcome)
        }
      }
      try sink.finish()
    } catch {
      sink.abort(error)
      throw error
    }
  }

  /// Says each utterance while its text arrives.
  private func sayInTurn(
    _ utterances: Utterances, _ speaker: Speaker, _ outcome: inout Outcome
  ) throws {
    let (input, sink) = (utterances.input, outcome.sink)
    do {
      while let utterance = try utterances.next() {
        try Interruption.check()
        try sink.follow(input.header)
        guard !utterance.record.isRejected else {
          try sink.pass(utterance.record)
          while let part = try utterances.nextPart() { try sink.pass(part) }
          continue
        }
        outcome.begin()
        do {
          try speaker.say(utterance, utterances.nextText, into: sink)
        } catch let failure as Failure where failure.kind == .badInput {
          try outcome.reject(utterance.record, failure)
        }
      }
    } catch {
      sink.relay(from: input)
      throw error
    }
    sink.add(from: input.digest)
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
    let model = try speech.model(model)
    let synthesizer = try model.synthesizer(precision: speech.precision)
    let voice = try Voices(model: model, synthesizer: synthesizer).voice(voice ?? "")
    try voice.write(to: path)
    run.say("\(voice.positions) positions: \(path)")
  }
}
