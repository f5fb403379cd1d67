import Base
import FlyingFox

/// `POST /tts`: a form with `text` and at most one of `voice_url` (the name of a voice) and `voice_wav`
/// (a recording). The interface of the official package, but that nothing is fetched from the network.
struct FormRoute {
  let router: Router

  /// What the official package puts after the speech, so that players do not cut its end.
  private static let closingSilence = 0.2
  private static let fields = ["text", "voice_url", "voice_wav"]

  func answer(_ request: HTTPRequest) async -> HTTPResponse {
    let body: [UInt8]
    switch await router.body(of: request, refuse: Self.refuse) {
    case .success(let bytes): body = bytes
    case .failure(let refusal): return refusal.response
    }
    do {
      let form = try FormData(body, type: request.headers[.contentType] ?? "")
      if let stranger = form.fields.first(where: { !Self.fields.contains($0.name) }) {
        throw Failure.form(
          "unknown field '\(stranger.name)'",
          remedy: "fields are \(Self.fields.joined(separator: ", "))")
      }
      guard let text = try form.text("text") else {
        return Self.refuse(
          .unprocessableContent, .form("the field 'text' is missing", remedy: "send a text"))
      }
      guard text.unicodeScalars.contains(where: { !$0.properties.isWhitespace }) else {
        throw Failure.form("the text is empty", remedy: "send a text")
      }
      var speech = SpeechRequest(text: text, closingSilence: Self.closingSilence)
      speech.voice = try voice(form)
      var response = await router.speech(speech, refuse: Self.refuse)
      if response.statusCode == .ok {
        response.headers[HTTPHeader("Content-Disposition")] =
          "attachment; filename=generated_speech.wav"
      }
      return response
    } catch {
      return Self.refuse(.badRequest, error as? Failure ?? .form("\(error)", remedy: ""))
    }
  }

  private func voice(_ form: FormData) throws -> SpeechRequest.Voice {
    let name = try form.text("voice_url")
    // A browser sends an empty file where none was chosen.
    let recording = try form.field("voice_wav").flatMap { $0.value.isEmpty ? nil : $0.value }
    switch (name, recording) {
    case (nil, nil): return .standard
    case (nil, let recording?): return .recording(Array(recording))
    case (let name?, nil):
      guard router.voiceNames.contains(name) else {
        throw Failure.noSuchVoice(name, router.voiceNames)
      }
      return .named(name)
    case (_?, _?):
      throw Failure.form("both voice_url and voice_wav are given", remedy: "send one of them")
    }
  }

  private static func refuse(_ status: HTTPStatusCode, _ failure: Failure) -> HTTPResponse {
    Router.json(status, ["detail": .string(failure.description)])
  }
}
