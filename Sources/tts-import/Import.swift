import ArgumentParser
import Base
import Filters
import Records

/// `tts-import`: records out of a dataset on disk.
@main
struct Import: RecordSource {
  static let tool = ToolDescription(
    name: "tts-import",
    abstract:
      "Make records with audio out of recordings, with their transcripts where there are any.",
    examples: [
      "tts-import LJSpeech-1.1 -o lj.ttsr",
      "tts-import --format jsonl train.jsonl | tts-resample --rate 24000 -o train.ttsr",
      "tts-import --speaker anna --language en recordings/ interview.mp3 -o anna.ttsr",
    ],
    discussion: """
      Reads WAV, FLAC, Ogg Vorbis, Opus, MP3 and what else libsndfile knows. Formats: ljspeech (a folder \
      with metadata.csv and wavs/), list (lines path|text or path|speaker|text), jsonl (training \
      manifests), files (recordings, and folders that are searched for them; FILE.txt beside FILE.wav is \
      its text). auto tells them apart by their names and first line.
      """)

  @Argument(
    help: ArgumentHelp("Folders, manifests and recordings.", valueName: "path"), completion: .file()
  )
  var paths: [String] = []

  @Option(
    help: ArgumentHelp(
      "What the operands are: \((["auto"] + datasetFormats.map(\.name)).joined(separator: ", ")).",
      valueName: "name"),
    completion: .list(["auto"] + datasetFormats.map(\.name)))
  var format = "auto"

  @Option(
    help: ArgumentHelp("Speaker of the utterances that name none.", valueName: "name"))
  var speaker: String?

  @Option(
    help: ArgumentHelp("Language of the utterances that name none.", valueName: "tag"))
  var language: String?

  @Option(
    help: ArgumentHelp(
      "With files in folders: the folder right below the operand names the speaker (folder), or not (none).",
      valueName: "what"))
  var speakerFrom: SpeakerFrom = .none

  @OptionGroup var stream: SourceOptions

  enum SpeakerFrom: String, ExpressibleByArgument, CaseIterable { case none, folder }

  func validate() throws {
    guard format == "auto" || datasetFormats.contains(where: { $0.name == format }) else {
      throw ValidationError("--format \(format) is not known; see --help.")
    }
    guard !paths.isEmpty || stream.stageID.isAsked else {
      throw ValidationError("Name at least one folder, manifest or recording.")
    }
  }

  func stage() -> StageParameters {
    StageParameters([
      "format": format, "speaker": speaker ?? "none", "language": language ?? "none",
      "speaker-from": speakerFrom.rawValue,
    ])
  }

  private var reading: DatasetReading {
    DatasetReading(
      speaker: speaker, language: language, speakerFromFolder: speakerFrom == .folder)
  }

  func forEachUnit(_ run: ToolRun, _ take: (Utterance) -> Bool) throws {
    // All operands are looked at first, so that a wrong one does not end a long run in its middle.
    let datasets = try paths.map { ($0, try dataset(format, at: $0)) }
    for (path, dataset) in datasets {
      try dataset.utterances(path, reading) { utterance in
        guard !run.isInterrupted, take(utterance) else { throw EndOfImport() }
      }
    }
  }

  func id(of utterance: Utterance) -> String { utterance.id }

  func rejectedRecord(of utterance: Utterance) -> Record { utterance.emptyRecord }

  func produce(
    _ utterance: Utterance, _ run: ToolRun, _ emit: (Record) throws -> Void
  ) throws {
    try utterance.records(emit)
  }
}

/// No more utterances are wanted.
struct EndOfImport: Error {}
