import Base
internal import CCurl

/// The head of an answer.
struct HTTPResponse: Sendable {
  /// The status code.
  var status = 0
  /// Values by names in lower case; of a name that comes twice, the last.
  fileprivate var headers: [String: String] = [:]

  /// A header's value, by its name in lower case.
  subscript(name: String) -> String? { headers[name] }

  /// Where a redirect leads.
  var location: String? { [301, 302, 303, 307, 308].contains(status) ? self["location"] : nil }
}

/// A request that may go better when it is sent again.
struct TransferFault: Error {
  /// What happened, in the words of a `Failure`.
  var problem: String
}

/// Takes an answer as it arrives.
protocol HTTPReceiver: AnyObject {
  /// The head is there; the body follows.
  func begin(_ response: HTTPResponse) throws
  /// Bytes of the body.
  func receive(_ bytes: UnsafeRawBufferPointer) throws
}

/// Requests over HTTP, one after another, on connections that stay open. Redirects are answers like
/// others.
final class HTTPSession {
  private let session: OpaquePointer
  private let certificates: String?
  private let monitor: RunMonitor

  /// - Throws: `unavailable` where libcurl is not installed.
  init(certificates: String?, monitor: RunMonitor) throws {
    var message = [CChar](repeating: 0, count: 256)
    guard let session = ccurl_open(&message, message.count) else {
      throw Failure.noTransferLibrary(text(message))
    }
    self.session = session
    self.certificates = certificates
    self.monitor = monitor
  }

  deinit { ccurl_close(session) }

  /// Sends a request.
  ///
  /// - Parameters:
  ///   - headers: `Name: value` each.
  ///   - limit: how long it may stand still.
  ///   - receiver: gets the answer; nil asks for the head alone.
  /// - Throws: `TransferFault` when the connection fails or stands still; what the receiver throws.
  func send(_ url: String, headers: [String], limit: Duration, to receiver: (any HTTPReceiver)?)
    throws -> HTTPResponse
  {
    let exchange = Exchange(receiver: receiver, limit: limit, monitor: monitor)
    var message = [CChar](repeating: 0, count: 512)
    let outcome = withCStrings(headers) { headers in
      url.withCString { url in
        withOptionalCString(certificates) { certificates in
          var request = ccurl_request(
            url: url, headers: headers.baseAddress, header_count: headers.count,
            is_head: receiver == nil, certificates: certificates,
            context: Unmanaged.passUnretained(exchange).toOpaque(),
            on_header: {
              Exchange.of($0)?.header(UnsafeRawBufferPointer(start: $1, count: $2)) ?? false
            },
            on_body: {
              Exchange.of($0)?.body(UnsafeRawBufferPointer(start: $1, count: $2)) ?? false
            },
            goes_on: { Exchange.of($0)?.goesOn() ?? false })
          return withExtendedLifetime(exchange) {
            ccurl_perform(session, &request, &message, message.count)
          }
        }
      }
    }
    if let error = exchange.error { throw error }
    switch outcome {
    case CCURL_ANSWERED: return try exchange.finish()
    case CCURL_UNTRUSTED: throw Failure.untrusted(url, text(message))
    default: throw TransferFault(problem: text(message))
    }
  }
}

/// One request's answer so far.
private final class Exchange {
  /// Bytes that count as movement.
  private static let movement = 1024
  private static let longestHead = 256

  private let receiver: (any HTTPReceiver)?
  private let limit: Duration
  private let monitor: RunMonitor
  private var response = HTTPResponse()
  private var hasBegun = false
  private var lines = 0
  private var lastMovement = ContinuousClock.now
  private var bytesSince = 0
  private(set) var error: (any Error)?

  init(receiver: (any HTTPReceiver)?, limit: Duration, monitor: RunMonitor) {
    self.receiver = receiver
    self.limit = limit
    self.monitor = monitor
  }

  static func of(_ context: UnsafeMutableRawPointer?) -> Exchange? {
    context.map { Unmanaged<Exchange>.fromOpaque($0).takeUnretainedValue() }
  }

  func finish() throws -> HTTPResponse {
    try begin()
    return response
  }

  private func begin() throws {
    guard !hasBegun else { return }
    hasBegun = true
    try receiver?.begin(response)
  }

  /// Does a step of the answer; false, and the error remembered, when it fails.
  private func step(_ body: () throws -> Void) -> Bool {
    do {
      try body()
      return true
    } catch {
      self.error = error
      return false
    }
  }

  func header(_ bytes: UnsafeRawBufferPointer) -> Bool {
    step {
      moved(Self.movement)
      let line = String(decoding: bytes, as: UTF8.self)
      if line.hasPrefix("HTTP/") {
        // Of several heads (100 Continue) the last one counts.
        response = HTTPResponse()
        let words = line.split(separator: " ")
        response.status = words.count > 1 ? Int(words[1].prefix(3)) ?? 0 : 0
        return
      }
      lines += 1
      guard lines <= Self.longestHead else {
        throw TransferFault(problem: "the answer's head has no end")
      }
      guard let colon = line.firstIndex(of: ":") else { return }
      let value = line[line.index(after: colon)...]
      response.headers[line[..<colon].lowercased()] = trimmed(value)
    }
  }

  private func trimmed(_ text: Substring) -> String {
    var text = text
    while text.first?.isWhitespace == true { text.removeFirst() }
    while text.last?.isWhitespace == true { text.removeLast() }
    return String(text)
  }

  func body(_ bytes: UnsafeRawBufferPointer) -> Bool {
    step {
      moved(bytes.count)
      try begin()
      try receiver?.receive(bytes)
    }
  }

  func goesOn() -> Bool {
    step {
      try monitor.check()
      guard .now - lastMovement <= limit else {
        throw TransferFault(problem: "nothing came for \(limit.components.seconds) s")
      }
    }
  }

  /// A trickle is a standstill too.
  private func moved(_ bytes: Int) {
    bytesSince += bytes
    guard bytesSince >= Self.movement else { return }
    bytesSince = 0
    lastMovement = .now
  }
}

private func text(_ message: [CChar]) -> String {
  let bytes = message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
  let text = String(decoding: bytes, as: UTF8.self)
  let isWord = text.dropFirst().first?.isLowercase == true
  return isWord ? text.prefix(1).lowercased() + text.dropFirst() : text
}

private func withOptionalCString<Result>(
  _ text: String?, _ body: (UnsafePointer<CChar>?) -> Result
) -> Result {
  guard let text else { return body(nil) }
  return text.withCString { body($0) }
}

private func withCStrings<Result>(
  _ texts: [String], _ body: (UnsafeBufferPointer<UnsafePointer<CChar>?>) -> Result
) -> Result {
  var pointers: [UnsafePointer<CChar>?] = []
  func next(_ index: Int) -> Result {
    guard index < texts.count else { return pointers.withUnsafeBufferPointer(body) }
    return texts[index].withCString {
      pointers.append($0)
      return next(index + 1)
    }
  }
  return next(0)
}
