import Base
import FlyingFox
import Foundation

/// Which answer a request gets.
struct Router: HTTPHandler {
  let queue: SpeechQueue
  let metrics: Metrics
  let settings: ServerSettings
  let voiceNames: [String]
  let sampleRate: Int

  /// The routes and their methods.
  private static let methods: [String: HTTPMethod] = [
    "/": .GET, "/health": .GET, "/metrics": .GET, "/tts": .POST, "/v1/audio/speech": .POST,
  ]

  func handleRequest(_ request: HTTPRequest) async -> HTTPResponse {
    let known = Self.methods[request.path]
    var response = await answer(request, allowed: known)
    response.headers[HTTPHeader("Server")] = "tts-synth"
    // Nothing of ours may be taken for something else by a browser.
    response.headers[HTTPHeader("X-Content-Type-Options")] = "nosniff"
    metrics.addRequest(
      route: known == nil ? "other" : request.path, status: response.statusCode.code)
    return response
  }

  private func answer(_ request: HTTPRequest, allowed: HTTPMethod?) async -> HTTPResponse {
    guard let allowed else {
      return await refusal(request, .notFound, "there is nothing at this address")
    }
    guard request.method == allowed else {
      var response = await refusal(
        request, .methodNotAllowed, "this address answers \(allowed.rawValue) only")
      response.headers[HTTPHeader("Allow")] = allowed.rawValue
      return response
    }
    switch request.path {
    case "/tts": return await FormRoute(router: self).answer(request)
    case "/v1/audio/speech": return await SpeechRoute(router: self).answer(request)
    case "/health": return Self.text(#"{"status":"healthy"}"#, "application/json")
    case "/metrics":
      let load = queue.load
      return Self.text(
        metrics.text(open: load.open, waiting: load.waiting), "text/plain; version=0.0.4")
    default:
      var response = Self.text(
        page(voices: voiceNames, sampleRate: sampleRate), "text/html; charset=utf-8")
      response.headers[HTTPHeader("Content-Security-Policy")] =
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
        + "connect-src 'self'"
      return response
    }
  }

  /// Refuses a request whose body nobody reads.
  private func refusal(
    _ request: HTTPRequest, _ status: HTTPStatusCode, _ detail: String
  ) async -> HTTPResponse {
    let response = Self.json(status, ["detail": .string(detail)])
    guard request.bodySequence.count != 0 else { return response }
    switch await RequestBody.read(request, limit: 1 << 16) {
    case .bytes, .tooLarge(isRead: true): return response
    case .tooLarge(isRead: false), .missing: return await Self.closing(response)
    }
  }

  // MARK: Speech

  /// Asks for speech and answers with it, or with what `refuse` makes of the failure.
  func speech(
    _ request: SpeechRequest, refuse: (HTTPStatusCode, Failure) -> HTTPResponse
  ) async -> HTTPResponse {
    guard request.text.unicodeScalars.count <= settings.longestText else {
      return refuse(
        .payloadTooLarge,
        .form(
          "the text has more than \(settings.longestText) characters",
          remedy: "send it in pieces"))
    }
    guard let (start, body) = await queue.submit(request) else {
      var response = refuse(
        .serviceUnavailable,
        Failure(.unavailable, problem: "too many requests", remedy: "ask again later"))
      response.headers[HTTPHeader("Retry-After")] = "5"
      return response
    }
    switch start {
    case .failed(let failure):
      let status: HTTPStatusCode =
        switch failure.kind {
        case .badInput: .badRequest
        case .unavailable: .serviceUnavailable
        default: .internalServerError
        }
      return refuse(status, failure)
    case .speaking:
      return HTTPResponse(
        statusCode: .ok,
        headers: HTTPHeaders([
          .contentType: request.format == .wav ? "audio/wav" : "audio/pcm",
          HTTPHeader("Cache-Control"): "no-store",
        ]), body: HTTPBodySequence(from: body))
    }
  }

  /// The body of a request, or the answer to one that is too large or was cut short.
  ///
  /// - Parameter refuse: makes the answer.
  func body(
    of request: HTTPRequest, refuse: (HTTPStatusCode, Failure) -> HTTPResponse
  ) async -> Result<[UInt8], Refusal> {
    switch await RequestBody.read(request, limit: settings.largestBody) {
    case .bytes(let bytes): return .success(bytes)
    case .missing:
      return .failure(
        Refusal(
          response: await Self.closing(
            refuse(.requestTimeout, .form("the request is not whole", remedy: "send it again")))))
    case .tooLarge(let isRead):
      let response = refuse(
        .payloadTooLarge,
        .form(
          "the request has more than \(settings.largestBody) bytes",
          remedy: "send less, a shorter recording for instance"))
      return .failure(Refusal(response: isRead ? response : await Self.closing(response)))
    }
  }

  /// An answer instead of what was asked for.
  struct Refusal: Error { var response: HTTPResponse }

  // MARK: Answers

  static func json(_ status: HTTPStatusCode, _ content: JSON) -> HTTPResponse {
    HTTPResponse(
      statusCode: status, headers: HTTPHeaders([.contentType: "application/json"]),
      body: Data(content.canonicalBytes))
  }

  private static func text(_ content: String, _ type: String) -> HTTPResponse {
    HTTPResponse(
      statusCode: .ok, headers: HTTPHeaders([.contentType: type]), body: Data(content.utf8))
  }

  /// The same answer, after which the connection ends.
  private static func closing(_ response: HTTPResponse) async -> HTTPResponse {
    var response = response
    let data = (try? await response.bodyData) ?? Data()
    response.payload = .httpBody(
      HTTPBodySequence(from: ClosingBody(bytes: data), count: data.count))
    response.headers[.connection] = "close"
    return response
  }
}
