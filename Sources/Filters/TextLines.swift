import Base
import Glibc

/// The lines of text files, or of standard input, as UTF-8: for tools that read text. A signal ends
/// the wait for a line.
public final class TextLines {
  private let paths: [String]
  private let limit: Int
  private var nextPath = 0
  private var descriptor: Int32 = -1
  private var buffer: [UInt8] = []
  private var start = 0
  private var atEnd = true
  /// Whether a piece of the current line was given and not yet its last one.
  private var isInLine = false

  /// The file that the last line came from.
  public private(set) var path = "standard input"
  /// The number of the last line in its file, from 1.
  public private(set) var number = 0

  /// Files in order; "-" or none is standard input.
  ///
  /// - Parameter limit: longer lines are refused.
  public init(paths: [String], limit: Int = 1 << 20) throws {
    self.paths = paths.isEmpty ? ["-"] : paths
    self.limit = limit
    for path in self.paths where path != "-" {
      guard access(path, R_OK) == 0 else { throw Failure.systemCall("open", path, code: errno) }
    }
  }

  /// The lines of one open descriptor, of which some bytes were already read.
  init(descriptor: Int32, path: String, prefix: [UInt8]) {
    paths = []
    limit = 1 << 20
    self.descriptor = descriptor
    self.path = path
    buffer = prefix
    atEnd = false
  }

  deinit { closeFile() }

  private func closeFile() {
    if descriptor > STDIN_FILENO { close(descriptor) }
    descriptor = -1
  }

  /// The next line without its end (LF or CRLF); nil after the last.
  public func next() throws -> String? {
    while true {
      if let end = buffer[start...].firstIndex(of: 10) {
        defer { start = end + 1 }
        return try text(of: buffer[start..<end])
      }
      if atEnd {
        if start < buffer.count {
          defer { start = buffer.count }
          return try text(of: buffer[start...])
        }
        guard try openNext() else { return nil }
      }
      try fill()
    }
  }

  /// The next piece of a line, for lines of any length: what is left of it, where that is at most
  /// `length` bytes; else about so many, up to a blank if there is one. Where a line is cut depends on
  /// its bytes alone, not on how they arrive. Nil after the last line.
  public func nextPiece(length: Int) throws -> (text: String, endsLine: Bool)? {
    while true {
      let window = buffer[start...].prefix(length + 1)
      if let end = window.firstIndex(of: 10) {
        defer { start = end + 1 }
        return (try text(of: window[..<end]), true)
      }
      if window.count > length {
        let end = Self.cut(window.prefix(length))
        defer { start = end }
        return (try text(of: window[..<end], endsLine: false), false)
      }
      if atEnd {
        if isInLine || start < buffer.count {
          defer { start = buffer.count }
          return (try text(of: buffer[start...]), true)
        }
        guard try openNext() else { return nil }
      }
      try fill()
    }
  }

  /// Where a piece of a line ends: after the last blank of its second half, or between characters.
  private static func cut(_ window: ArraySlice<UInt8>) -> Int {
    let half = window.startIndex + window.count / 2
    if let blank = window[half...].lastIndex(of: 32) { return blank + 1 }
    var end = window.endIndex
    // A character begins at the last byte that does not continue one.
    while end > half, window[end - 1] & 0xC0 == 0x80 { end -= 1 }
    return end > half && window[end - 1] < 0x80 ? end : max(half, end - 1)
  }

  private func text(of bytes: ArraySlice<UInt8>, endsLine: Bool = true) throws -> String {
    let isStart = !isInLine
    if isStart { number += 1 }
    isInLine = !endsLine
    let line = endsLine && bytes.last == 13 ? bytes.dropLast() : bytes
    guard line.count <= limit else {
      throw Failure.lineTooLong(path, line: number, limit: limit)
    }
    guard let text = String(validating: line, as: UTF8.self) else {
      throw Failure.notUTF8(path, line: number)
    }
    return number == 1 && isStart && text.unicodeScalars.first == "\u{FEFF}"
      ? String(text.unicodeScalars.dropFirst()) : text
  }

  private func openNext() throws -> Bool {
    closeFile()
    guard nextPath < paths.count else { return false }
    let name = paths[nextPath]
    nextPath += 1
    number = 0
    buffer.removeAll(keepingCapacity: true)
    start = 0
    atEnd = false
    path = name == "-" ? "standard input" : name
    descriptor = name == "-" ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw Failure.systemCall("open", name, code: errno) }
    return true
  }

  private func fill() throws {
    buffer.removeFirst(start)
    start = 0
    guard buffer.count <= limit + 1 else {
      throw Failure.lineTooLong(path, line: number + 1, limit: limit)
    }
    try Interruption.waitToRead(descriptor)
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = read(descriptor, &piece, piece.count)
      if count < 0 {
        if errno == EINTR { continue }
        throw Failure.systemCall("read", path, code: errno)
      }
      if count == 0 { atEnd = true }
      buffer += piece[..<count]
      return
    }
  }
}
