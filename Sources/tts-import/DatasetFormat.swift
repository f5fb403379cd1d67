import Audio
import Base
import Filters
import Glibc

/// A way in which recordings and transcripts are laid out: a value in `datasetFormats`.
struct DatasetFormat: Sendable {
  /// What `--format` calls it.
  var name: String
  /// Whether an operand looks like it; the first format that says so is taken.
  var recognises: @Sendable (String) -> Bool
  /// Looks at an operand before anything is read; throws when it cannot be read at all.
  var check: @Sendable (String) throws -> Void
  /// Calls the closure with every utterance, in order.
  var utterances: @Sendable (String, DatasetReading, (Utterance) throws -> Void) throws -> Void
}

/// What the options say about all utterances.
struct DatasetReading: Sendable {
  var speaker: String?
  var language: String?
  var speakerFromFolder = false
}

/// All formats; `files` takes whatever the others do not.
let datasetFormats = [ljSpeechFormat, jsonLinesFormat, listFormat, filesFormat]

/// The format of an operand, which was found to be readable.
func dataset(_ name: String, at path: String) throws -> DatasetFormat {
  guard access(path, R_OK) == 0 else { throw Failure.systemCall("open", path, code: errno) }
  let found = datasetFormats.first { name == "auto" ? $0.recognises(path) : $0.name == name }
  let format = found ?? filesFormat
  try format.check(path)
  return format
}

func isFolder(_ path: String) -> Bool {
  var status = stat()
  return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
}

func isFile(_ path: String) -> Bool {
  var status = stat()
  return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
}

/// Throws unless the first line of a file can be read as text.
func checkText(_ path: String) throws {
  guard !isFolder(path) else { throw Failure.folderAsManifest(path) }
  _ = try TextLines(paths: [path]).next()
}
