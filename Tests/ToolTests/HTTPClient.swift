import Base
import Foundation
import Glibc
import TestSupport
import Testing

/// What a server answered.
struct HTTPAnswer {
  var status = 0
  var headers: [String: String] = [:]
  var body: [UInt8] = []
  /// Whether the body came to its end.
  var isWhole = false

  var text: String { String(decoding: body, as: UTF8.self) }
}

/// A connection to a port of this machine.
final class HTTPConnection {
  private let descriptor: Int32
  private var received: [UInt8] = []

  init(port: Int) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var limit = timeval(tv_sec: 60, tv_usec: 0)
    setsockopt(
      descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let code = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard code == 0 else { throw Failure.systemCall("connect", "port \(port)", code: errno) }
  }

  deinit { close(descriptor) }

  /// Sends bytes, as many as the other side takes.
  func send(_ bytes: [UInt8]) {
    var sent = 0
    while sent < bytes.count {
      let count = bytes[sent...].withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { return }
      sent += count
    }
  }

  /// Receives more; false at the end.
  func receive() -> Bool {
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    let count = recv(descriptor, &piece, piece.count, 0)
    guard count > 0 else { return false }
    received += piece[..<count]
    return true
  }

  /// Receives one answer; what comes behind it is kept for the next.
  func answer() -> HTTPAnswer {
    var answer = HTTPAnswer()
    while true {
      if let (whole, end) = Self.parse(received) {
        answer = whole
        if whole.isWhole {
          received.removeFirst(end)
          return whole
        }
      }
      guard receive() else { return answer }
    }
  }

  /// The answer at the start, as far as it came, and where it ends; nil before the end of its header.
  private static func parse(_ bytes: [UInt8]) -> (HTTPAnswer, end: Int)? {
    guard let head = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else { return nil }
    var answer = HTTPAnswer()
    let lines = String(decoding: bytes[..<head.lowerBound], as: UTF8.self)
      .components(separatedBy: "\r\n")
    answer.status = Int(lines[0].split(separator: " ").dropFirst().first ?? "") ?? 0
    for line in lines.dropFirst() {
      guard let colon = line.firstIndex(of: ":") else { continue }
      answer.headers[line[..<colon].lowercased()] =
        line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
    }
    var at = head.upperBound
    guard answer.headers["transfer-encoding"] == "chunked" else {
      let count = Int(answer.headers["content-length"] ?? "") ?? 0
      answer.body = Array(bytes[at...].prefix(count))
      answer.isWhole = answer.body.count == count
      return (answer, at + answer.body.count)
    }
    while let line = bytes[at...].firstRange(of: [13, 10]),
      let size = Int(String(decoding: bytes[at..<line.lowerBound], as: UTF8.self), radix: 16),
      bytes.count >= line.upperBound + size + 2
    {
      answer.body += bytes[line.upperBound..<line.upperBound + size]
      at = line.upperBound + size + 2
      if size == 0 {
        answer.isWhole = true
        break
      }
    }
    return (answer, at)
  }
}

/// A form as a browser sends it.
func multipart(_ fields: [(name: String, fileName: String?, value: [UInt8])]) -> [UInt8] {
  var body: [UInt8] = []
  for field in fields {
    let file = field.fileName.map { "; filename=\"\($0)\"" } ?? ""
    body += Array(
      "--BoUnDaRy\r\nContent-Disposition: form-data; name=\"\(field.name)\"\(file)\r\n\r\n".utf8)
    body += field.value + [13, 10]
  }
  return body + Array("--BoUnDaRy--\r\n".utf8)
}

/// A request with a body.
func post(_ path: String, _ type: String, _ body: [UInt8], close: Bool = true) -> [UInt8] {
  Array(
    """
    POST \(path) HTTP/1.1\r
    Host: localhost\r
    Content-Type: \(type)\r
    Content-Length: \(body.count)\r
    Connection: \(close ? "close" : "keep-alive")\r
    \r\n
    """.utf8) + body
}

let formType = "multipart/form-data; boundary=BoUnDaRy"
