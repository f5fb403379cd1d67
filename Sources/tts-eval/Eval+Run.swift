import Base
import Filters
import ModelInterface
import Records
import Speaking

extension Eval {
  func execute(_ run: ToolRun) throws {
    // Outputs that cannot be written are found out before the work.
    let summaryFile = try results.json.map { try ByteOutput(path: $0) }
    let itemsFile = try results.items.map { try ByteOutput(path: $0) }
    let sentences = Sentences(try Utterances(input, inputFormat))
    let evaluator = try Evaluator(self, run)
    var measured: [SentenceResult] = []
    var count = RejectCount(limit: rejects.maxRejected)
    var seconds = 0.0
    var failures = 0
    let leftOut = try EvaluationRun(evaluator: evaluator, count: batch).perform(sentences) {
      result, failure in
      count.addID()
      try itemsFile?.write(result.json.canonicalBytes + [10])
      seconds += result.seconds
      measured.append(result)
      run.count("frames", result.summary.frames)
      for failure in result.failures {
        failures += 1
        if failures <= 10 || run.isVerbose {
          run.warn(failure.description)
        } else if failures == 11 {
          run.warn("more commands fail; -v prints them all")
        }
      }
      if let failure {
        guard rejects.onError == .reject else { throw failure }
        run.warn(failure.description)
        run.count("rejected")
        try count.addRejected(id: result.id, reason: failure.problem)
      } else {
        run.count("sentences")
      }
      run.progress("\(measured.count) sentences, \(decimal(seconds, places: 1)) s of speech")
    }
    guard !measured.isEmpty else { throw Failure.noSentences() }
    let summary = Summary(measured, leftOut: leftOut, thresholds: evaluator.thresholds)
    try itemsFile?.finish()
    try summaryFile?.write(summary.json(try stage(evaluator.model)).canonicalBytes + [10])
    try summaryFile?.finish()
    let table = try ByteOutput(path: nil)
    try table.write(SummaryTable(summary).text)
    try table.finish()
    if let first = summary.failures.first {
      throw Failure.listenersFailed(
        summary.failures.count, of: summary.commands, first: first)
    }
  }

  /// What the figures depend on.
  private func stage(_ model: any SpeechModel) throws -> JSON {
    var parameters = speech.parameters
    parameters["seed"] = "\(seed.seed)"
    parameters["silence"] = "\(silence)"
    parameters["asr"] = listeners.asr
    parameters["similarity"] = listeners.similarity
    if listeners.similarity != nil {
      parameters["similarity-to"] = listeners.similarityTo.rawValue
    }
    if listeners.asr != nil || listeners.similarity != nil {
      parameters["wav-rate"] = listeners.wavRate.map { "\($0)" } ?? "keep"
    }
    if ends.calibrate { parameters["thresholds"] = ends.thresholds.description }
    var models = ["synthesizer": try model.synthesizerDigest().description]
    if let voice {
      models["voice"] = SHA256Digest(of: try readFile(try model.voicePath(voice))).description
    }
    return Stage(
      tool: Self.tool.name, version: Self.tool.outputVersion, parameters: parameters,
      models: models
    ).json
  }
}
