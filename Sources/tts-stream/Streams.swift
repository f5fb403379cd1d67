import ArgumentParser
import Base
import Filters
import Glibc
import Records

/// The streams that a subcommand reads.
struct Operands: ParsableArguments, Sendable {
  @Argument(
    help: ArgumentHelp("Record files, in order; - or none is standard input.", valueName: "file"),
    completion: .file(extensions: ["ttsr"]))
  var files: [String] = []

  var paths: [String] { files.isEmpty ? ["-"] : files }
}

/// Opens a stream so that a signal ends the wait for it.
func openStream(_ path: String) throws -> RecordReader {
  if path == "-", isatty(STDIN_FILENO) == 1 { throw Failure.terminal }
  return try RecordReader(path: path, waitToRead: Interruption.waitToRead)
}

/// Whether a path can be read in any order, so that trailers and seek tables suffice.
func isRegularFile(_ path: String) -> Bool {
  var status = stat()
  return path != "-" && stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
}

/// What is known of a stream as a whole.
struct Summary {
  var headers: [StreamHeader] = []
  var trailers: [Trailer] = []

  var tally: Tally { trailers.reduce(Tally()) { $0 + $1.tally } }

  /// From trailers alone where that is possible, else by reading all of it.
  init(path: String) throws {
    if isRegularFile(path) {
      let file = try RecordFile(path: path)
      headers = file.headers
      trailers = file.trailers
    } else {
      let reader = try openStream(path)
      while try reader.nextBlock() != nil { try Interruption.check() }
      headers = reader.headers
      trailers = reader.trailers
    }
  }
}

/// Copies streams segment by segment and block by block, without compressing anew.
///
/// - Parameter makeWriter: opens the output under the first header.
func copyStreams(
  _ paths: [String], stage: String, _ makeWriter: (StreamHeader) throws -> RecordWriter
) throws {
  var writer: RecordWriter?
  var abort: Abort?
  do {
    var from: SHA256Digest?
    for path in paths {
      let reader = try openStream(path)
      var begun = 0
      /// Ends the open segment and begins the next until as many have begun as in the input.
      func catchUp() throws {
        while begun < reader.headers.count {
          if begun > 0 { from = reader.trailers[begun - 1].from }
          if let writer {
            try writer.startSegment(reader.headers[begun], from: from)
          } else {
            writer = try makeWriter(reader.headers[begun])
          }
          begun += 1
        }
      }
      do {
        try catchUp()
        while let block = try reader.nextBlock() {
          try catchUp()
          try writer?.write(block)
          try Interruption.check()
        }
        try catchUp()
      } catch {
        abort = reader.upstreamAbort
        throw error
      }
      from = reader.trailers.last?.from
    }
    try writer?.finish(from: from)
  } catch {
    if let failure = error as? Failure {
      try? writer?.abort(abort ?? Abort(failure, stage: stage))
    }
    throw error
  }
}
