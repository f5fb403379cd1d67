import Base
import FlyingFox

/// `POST /v1/audio/speech`: the widely used JSON interface.
struct SpeechRoute {
  let router: Router

  private static let keys = [
    "model", "input", "voice", "response_format", "speed", "stream_format", "instructions", "seed",
  ]

  func answer(_ request: HTTPRequest) async -> HTTPResponse {
    let refuse = { Self.refuse($0, $1, parameter: nil) }
    let body: [UInt8]
    switch await router.body(of: request, refuse: refuse) {
    case .success(let bytes): body = bytes
    case .failure(let refusal): return refusal.response
    }
    do {
      return await router.speech(try speech(body), refuse: refuse)
    } catch let problem as Problem {
      return Self.refuse(.badRequest, problem.failure, parameter: problem.parameter)
    } catch {
      return refuse(.badRequest, error as? Failure ?? .form("\(error)", remedy: ""))
    }
  }

  /// What is wrong with a request, and with which of its members.
  private struct Problem: Error {
    var parameter: String
    var failure: Failure

    init(_ parameter: String, _ problem: String, remedy: String) {
      self.parameter = parameter
      failure = .form("'\(parameter)' \(problem)", remedy: remedy)
    }
  }

  private func speech(_ body: [UInt8]) throws -> SpeechRequest {
    guard let json = try? JSON.parse(body), let members = json.object else {
      throw Failure.form("the request is not a JSON object", remedy: "send application/json")
    }
    for key in members.keys.sorted() where !Self.keys.contains(key) {
      throw Problem(key, "is unknown", remedy: "members are \(Self.keys.joined(separator: ", "))")
    }
    func text(_ key: String) throws -> String? {
      guard let value = members[key], value != .null else { return nil }
      guard let text = value.string else {
        throw Problem(key, "is not a string", remedy: "quote it")
      }
      return text
    }
    guard let input = try text("input") else {
      throw Problem("input", "is missing", remedy: "send the text")
    }
    guard input.unicodeScalars.contains(where: { !$0.properties.isWhitespace }) else {
      throw Problem("input", "is empty", remedy: "send a text")
    }
    // There is one model, whatever it is called.
    _ = try text("model")
    var speech = SpeechRequest(text: input)
    if let name = try text("voice"), name != "default" {
      guard router.voiceNames.contains(name) else {
        throw Problem(
          "voice", "'\(name)' is not there",
          remedy: Failure.noSuchVoice(name, router.voiceNames)
            .remedy ?? "")
      }
      speech.voice = .named(name)
    }
    switch try text("response_format") {
    case nil, "wav": speech.format = .wav
    case "pcm": speech.format = .pcm
    case let other?:
      throw Problem("response_format", "'\(other)' is not made here", remedy: "wav and pcm are")
    }
    if let value = members["speed"], value != .null, value.double != 1 {
      throw Problem("speed", "can only be 1", remedy: "leave it away")
    }
    if let format = try text("stream_format"), format != "audio" {
      throw Problem("stream_format", "can only be audio", remedy: "leave it away")
    }
    if let instructions = try text("instructions"), !instructions.isEmpty {
      throw Problem("instructions", "are not understood", remedy: "leave them away")
    }
    if let value = members["seed"], value != .null {
      guard let seed = value.integer, seed >= 0 else {
        throw Problem("seed", "is no whole number", remedy: "send 0 or more")
      }
      speech.seed = UInt64(seed)
    }
    return speech
  }

  private static func refuse(
    _ status: HTTPStatusCode, _ failure: Failure, parameter: String?
  ) -> HTTPResponse {
    Router.json(
      status,
      [
        "error": [
          "message": .string(failure.description),
          "type": status.code < 500 ? "invalid_request_error" : "server_error",
          "param": parameter.map { .string($0) } ?? .null, "code": .null,
        ]
      ])
  }
}
