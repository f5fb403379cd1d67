import Base
public import Records

/// What identifies a stage in a stream's provenance, besides the tool and its version.
public struct StageParameters: Sendable {
  /// Options that can change content, defaults included, by their long names without dashes.
  public var parameters: [String: String]
  /// Digests of the models by the part they play ("codec", "tokenizer"), covering only what the
  /// stage computes with.
  public var models: [String: String]

  /// Parameters and models.
  public init(_ parameters: [String: String] = [:], models: [String: String] = [:]) {
    self.parameters = parameters
    self.models = models
  }
}

/// What a filter does with the records of one id, on one thread at a time.
///
/// A worker is made once and shared by all threads, so it holds what never changes (weights,
/// options); what one id needs from part to part is the state.
public protocol RecordWorker: Sendable {
  /// What is kept from one part of an id to the next, and dropped after the last.
  associatedtype State

  /// The state before the first part of an id.
  func initialState(id: String) throws -> State

  /// Makes the outputs of one record, often one.
  ///
  /// - Throws: a `Failure` of kind `badInput` rejects the record and the later parts of its id;
  ///   anything else ends the run.
  func process(_ record: Record, _ state: inout State) throws -> [Record]

  /// Makes what is still due after the last part of an id.
  func finish(_ state: inout State) throws -> [Record]

  /// Lets a rejected part go by after earlier parts of its id were processed. A worker that gives out
  /// other parts than came in gives what it held back, and numbers this one after them.
  func passRejected(_ record: Record, _ state: inout State) throws -> [Record]
}

extension RecordWorker {
  /// Nothing is due.
  public func finish(_ state: inout State) throws -> [Record] { [] }

  /// Untouched.
  public func passRejected(_ record: Record, _ state: inout State) throws -> [Record] { [record] }
}

extension RecordWorker where State == Void {
  /// No state.
  public func initialState(id: String) throws {}
}

/// A filter: options, the parameters of its stage, and a worker.
///
/// The frame reads operands or standard input, keeps order, works on several ids at a time, passes
/// rejected records by, marks those that fail, appends the provenance, relays an upstream failure
/// and ends well on signals.
///
/// ```swift
/// @main
/// struct Gain: RecordFilter {
///   static let tool = ToolDescription(
///     name: "tts-gain", abstract: "Make recordings louder.",
///     examples: ["tts-gain --db 6 in.ttsr -o out.ttsr"])
///   @Option(help: "Gain in dB.") var db = 6.0
///   @OptionGroup var stream: StreamOptions
///
///   func stage() -> StageParameters { StageParameters(["db": "\(db)"]) }
///   func makeWorker(_ run: ToolRun) -> Louder { Louder(factor: Float(pow(10, db / 20))) }
/// }
///
/// struct Louder: RecordWorker {
///   let factor: Float
///   func process(_ record: Record, _ state: inout Void) throws -> [Record] {
///     var record = record
///     record.setAudio(try record.audio().map { $0.map { $0 * factor } }, rate: …)
///     return [record]
///   }
/// }
/// ```
public protocol RecordFilter: Tool {
  /// What does the work.
  associatedtype Worker: RecordWorker
  /// The options that every filter has.
  var stream: StreamOptions { get }
  /// Whether an input that is no record stream is taken as text, a record a line. Default: no.
  static var acceptsText: Bool { get }

  /// Options and models that can change content. Reads no input; hashes models without loading them.
  func stage() throws -> StageParameters

  /// Loads models and makes the worker; called once, after `stage`.
  func makeWorker(_ run: ToolRun) throws -> Worker
}

extension RecordFilter {
  /// Record streams only.
  public static var acceptsText: Bool { false }

  /// The options that every tool has.
  public var common: CommonOptions { stream.common }

  /// Runs the filter.
  public func execute(_ run: ToolRun) throws {
    if stream.stageID.isAsked {
      return try printStageID(Stage(Self.tool, stage()))
    }
    // The output comes first, so that whoever reads it is told of everything that fails after it.
    try filterRecords(
      stream.input.paths, form: Self.acceptsText ? .recordsOrLines : .records,
      to: RecordOutput(stream.output, run), rejects: stream.rejects, run, stage: stage,
      worker: { try makeWorker(run) })
  }
}

/// What a ``RecordFilter`` does, for a tool that filters records among other things.
///
/// - Parameters:
///   - paths: of the inputs; "-" is standard input.
///   - form: what they may be.
///   - prefix: what was read of standard input to see what it is.
///   - output: made before anything can fail, so that whoever reads it is told.
///   - splitsWork: whether the worker splits its work among all threads; one id is then worked on at a time.
public func filterRecords<Worker: RecordWorker>(
  _ paths: () throws -> [String], form: InputForm = .records, prefix: InputPrefix? = nil,
  to output: RecordOutput, rejects: RejectOptions, splitsWork: Bool = false, _ run: ToolRun,
  stage: () throws -> StageParameters, worker: () throws -> Worker
) throws {
  do {
    let cursor = try RecordCursor(paths: paths(), form: form, prefix: prefix)
    try FilterRun(
      tool: run.tool, parameters: stage(), worker: worker(), rejects: rejects, run: run,
      splitsWork: splitsWork
    ).perform(cursor, output)
    try output.finish()
  } catch {
    output.abort(error)
    throw error
  }
}

/// Prints what `--stage-id` asks for.
public func printStageID(_ stage: Stage) throws {
  let output = try ByteOutput(path: nil)
  try output.write(stage.id + "\n")
  try output.finish()
}

/// Prints what `--stage-id` asks for.
public func printStageID(_ tool: ToolDescription, _ parameters: StageParameters) throws {
  try printStageID(Stage(tool, parameters))
}

extension Stage {
  /// The stage of a tool with its parameters; without parents, which come with the header it is
  /// appended to.
  public init(_ tool: ToolDescription, _ parameters: StageParameters) {
    self.init(
      tool: tool.name, version: tool.outputVersion, parameters: parameters.parameters,
      models: parameters.models)
  }
}
