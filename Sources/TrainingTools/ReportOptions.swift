public import ArgumentParser
import Filters

/// What a command that puts runs on a page reads and writes; the whole of its work.
public struct ReportOptions: ParsableArguments {
  @Argument(help: ArgumentHelp("Run directories.", valueName: "run"), completion: .directory)
  var runs: [String]
  @Option(
    name: [.customShort("o"), .long],
    help: ArgumentHelp(
      "Write to this file, which gets its name only when it is whole. Default: standard output.",
      valueName: "file"), completion: .file(extensions: ["html"]))
  var output: String?
  @Option(
    help: ArgumentHelp(
      """
      Megabytes that the samples may add to the page; those of the latest steps come first. 0: none.
      """, valueName: "n"))
  var audioLimit = 50

  /// No runs.
  public init() {}

  /// Checks what the parser cannot.
  public func validate() throws {
    guard (0...10_000).contains(audioLimit) else {
      throw ValidationError("--audio-limit must be between 0 and 10000.")
    }
  }

  /// Writes the page.
  ///
  /// - Throws: `noInput` for what is no run, `badInput` for a log that is none.
  public func writePage() throws {
    let runs = try runs.map { try RecordedRun(directory: $0) }
    let page = ReportPage(runs, SampleTable(runs, megabytes: audioLimit))
    let file = try ByteOutput(path: output)
    try file.write(page.html)
    try file.finish()
  }
}
