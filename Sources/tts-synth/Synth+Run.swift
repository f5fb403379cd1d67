import Audio
import AudioRecords
import Base
import Filters
import ModelInterface
import ModelRegistry
import Records

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
        "temperature": value(temperature), "decode-steps": "\(decodeSteps)",
        "noise-clamp": value(noiseClamp), "seed": "\(seed.seed)",
        "eos-threshold": value(eosThreshold), "frames-after-eos": value(framesAfterEos),
        "max-frames": value(maxFrames), "max-tokens": "\(maxTokens)",
      ], models: models)
  }

  func execute(_ run: ToolRun) throws {
    if stageID.isAsked { return try printStageID(Self.tool, stage()) }
    // The output comes first, so that whoever reads it is told of everything that fails after it.
    let sink = try makeSink(run)
    var records: RecordInput?
    do {
      if text == nil { records = try RecordInput(input, acceptsText: true) }
      ThreadBudget.limit = run.options.threads
      let model = try ModelRegistry.open(model)
      let voicePath = try voice.map { try model.voicePath($0) }
      let synthesizer = try model.synthesizer()
      let voice = try loadVoice(voicePath, synthesizer)
      sink.begin(rate: synthesizer.sampleRate)
      var rejected = RejectCount(limit: rejects.maxRejected)
      func say(_ record: Record, header: StreamHeader) throws {
        try sink.follow(header)
        guard !record.isRejected else { return try sink.pass(record) }
        rejected.addID()
        do {
          try speak(record, with: synthesizer, voice, to: sink, run)
        } catch var failure as Failure where failure.kind == .badInput {
          failure.record = failure.record ?? record.id
          guard rejects.onError == .reject else { throw failure }
          run.warn(failure.description)
          run.count("rejected")
          try sink.reject(record, "\(Self.tool.name): \(failure.problem)")
          try rejected.addRejected(id: record.id, reason: failure.problem)
        }
      }
      if let text {
        var record = Record(id: "text")
        record.text = text
        try say(record, header: StreamHeader())
      } else if let records {
        while let record = try records.next() {
          try run.checkInterrupted()
          // The text of a long recording stands on its first part; the other parts say nothing.
          guard record.part ?? 0 == 0 else { continue }
          try say(record, header: records.header)
        }
        sink.add(from: records.digest)
      }
      try sink.finish()
    } catch {
      sink.abort(error, reading: records)
      throw error
    }
  }

  private func makeSink(_ run: ToolRun) throws -> any SpeechSink {
    switch format {
    case .ttsr:
      return RecordSink(
        output: try RecordOutput(output, run), stage: try stage(), tool: Self.tool, run: run)
    case .wav: return try SampleSink(path: output.output, encoding: .wav)
    case .s16le: return try SampleSink(path: output.output, encoding: .int16)
    case .f32le: return try SampleSink(path: output.output, encoding: .float32)
    }
  }

  private func loadVoice(_ voice: String?, _ synthesizer: any Synthesizer) throws -> any Voice {
    guard let voice else { return try synthesizer.defaultVoice() }
    if voice.hasSuffix(".safetensors") { return try synthesizer.voice(file: voice) }
    let file = try AudioFile(path: voice)
    var samples = mono(try file.readAll())
    if file.rate != synthesizer.sampleRate {
      var resampler = try ReferenceResampler(from: file.rate, to: synthesizer.sampleRate)
      samples = resampler.process(samples) + resampler.finish()
    }
    do { return try synthesizer.voice(of: samples) } catch let failure as Failure {
      throw failure.about(voice)
    }
  }

  private func speak(
    _ record: Record, with synthesizer: any Synthesizer, _ voice: any Voice,
    to sink: any SpeechSink, _ run: ToolRun
  ) throws {
    guard let text = record.text, !text.isEmpty else {
      throw Failure(
        .badInput, record: record.id, problem: "no text",
        remedy: "import the recording with its transcript")
    }
    try sink.open(record)
    var samples = 0
    let start = run.seconds
    let summary = try synthesizer.speak(text, voice: voice, options: options, name: record.id) {
      try run.checkInterrupted()
      samples += $0.count
      try sink.write($0)
      let seconds = Double(samples) / Double(synthesizer.sampleRate)
      run.progress("\(record.id): \(tenths(seconds)) s of speech")
    }
    try sink.close()
    run.count("utterances")
    run.count("frames", summary.frames)
    let seconds = Double(samples) / Double(synthesizer.sampleRate)
    run.detail(
      "\(record.id): \(tenths(seconds)) s of speech, "
        + "\(tenths(seconds / max(1e-9, run.seconds - start))) times real time")
    if summary.endlessPieces > 0, eosThreshold ?? 0 < 1e6, maxFrames == nil {
      run.warn(
        "record '\(record.id)': speech did not end by itself in \(summary.endlessPieces) of "
          + "\(summary.pieces) pieces; lower --eos-threshold or check the text")
    }
  }

  private func tenths(_ value: Double) -> String { "\((value * 10).rounded() / 10)" }
}
