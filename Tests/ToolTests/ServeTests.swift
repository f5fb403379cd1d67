import Base
import Foundation
import Glibc
import TestSupport
import Testing

/// `tts-synth serve` with a small model.
@Suite(.enabled(if: isBuilt("tts-synth"))) struct ServeTests {
  let folder: ScratchFolder
  static let model = fixture("PocketTTS/lsd")
  var model: String { Self.model }

  init() throws { folder = try ScratchFolder() }

  /// A server that ends with the test.
  final class Server: Sendable {
    let process: RunningProcess
    let port: Int
    private let isOver = Locked(false)

    init(_ arguments: [String] = [], environment: [String: String] = [:]) throws {
      process = try RunningProcess(
        toolPath("tts-synth"),
        ["serve", "--model", ServeTests.model, "--port", "0", "--max-frames", "4"] + arguments,
        environment: environment, timeLimit: 120)
      for _ in 0..<3000 where !process.outputSoFar.contains(10) { usleep(10_000) }
      let line = String(decoding: process.outputSoFar, as: UTF8.self)
      let number = line.split(separator: ":").last.map { $0.trimmingCharacters(in: .newlines) }
      port = try #require(Int(number ?? ""), "\(line) \(process.errorsSoFar)")
    }

    deinit {
      if !isOver.withLock({ $0 }) { _ = stop() }
    }

    func stop(_ number: Int32 = SIGTERM) -> ProcessResult {
      isOver.withLock { $0 = true }
      process.signal(number)
      return process.wait()
    }

    func exchange(_ request: [UInt8]) throws -> HTTPAnswer {
      let connection = try HTTPConnection(port: port)
      connection.send(request)
      return connection.answer()
    }

    func get(_ path: String) throws -> HTTPAnswer {
      try exchange(Array("GET \(path) HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".utf8))
    }

    func form(_ fields: [(name: String, fileName: String?, value: [UInt8])]) throws -> HTTPAnswer {
      try exchange(post("/tts", formType, multipart(fields)))
    }

    func say(_ text: String) throws -> HTTPAnswer {
      try form([("text", nil, Array(text.utf8))])
    }

    func json(_ text: String) throws -> HTTPAnswer {
      try exchange(post("/v1/audio/speech", "application/json", Array(text.utf8)))
    }

    /// The value of a metric.
    func metric(_ name: String) throws -> Double? {
      try get("/metrics").text.split(separator: "\n").first { $0.hasPrefix(name + " ") }
        .flatMap { Double($0.dropFirst(name.count + 1)) }
    }

    /// Waits until a metric has a value.
    func wait(_ name: String, _ value: Double) throws -> Bool {
      for _ in 0..<1000 {
        if try metric(name) == value { return true }
        usleep(10_000)
      }
      return false
    }
  }

  /// The samples that the command line gives.
  private func samples(_ text: String, _ arguments: [String] = []) throws -> [UInt8] {
    let result = try runTool(
      "tts-synth",
      ["--model", model, "--max-frames", "4", "--format", "s16le", "--text", text] + arguments)
    #expect(result.code == 0, "\(result.errors)")
    return result.output
  }

  private let silence = [UInt8](repeating: 0, count: 2 * 4800)

  @Test func theFormIsAnsweredWithSpeech() throws {
    let server = try Server(["--voice", "me=\(model)/voice.wav", "--voice", "\(model)/voice.wav"])
    let voiced = ["--voice", "\(model)/voice.wav"]
    let answer = try server.say("One. [pause 0.1s] Two.")
    #expect(answer.status == 200 && answer.isWhole)
    #expect(answer.headers["content-type"] == "audio/wav")
    #expect(answer.body.starts(with: Array("RIFF".utf8) + [0xFF, 0xFF, 0xFF, 0xFF]))
    let expected = try samples("One. [pause 0.1s] Two.", voiced)
    #expect(Array(answer.body.dropFirst(44)) == expected + silence)

    let hello = try samples("Hello.", voiced)
    for request in [
      post(
        "/tts", formType,
        multipart([("text", nil, Array("Hello.".utf8)), ("voice_url", nil, Array("me".utf8))])),
      post("/tts", "application/x-www-form-urlencoded", Array("text=Hello.&voice_url=".utf8)),
    ] {
      let answer = try server.exchange(request)
      #expect(answer.status == 200, "\(answer.text)")
      #expect(Array(answer.body.dropFirst(44)) == hello + silence)
    }
  }

  @Test func anUploadIsAVoiceAndLeavesNothing() throws {
    try FileManager.default.createDirectory(
      atPath: folder.file("tmp"), withIntermediateDirectories: true)
    let server = try Server(environment: ["TMPDIR": folder.file("tmp")])
    let recording = try #require(FileManager.default.contents(atPath: "\(model)/voice.wav"))
    let expected = try samples("Hello.", ["--voice", "\(model)/voice.wav"])
    for name in ["voice.wav", "../../evil.wav", "/etc/passwd", "x.safetensors", "a\\\"b", ""] {
      let answer = try server.form([
        ("text", nil, Array("Hello.".utf8)), ("voice_wav", name, Array(recording)),
      ])
      #expect(answer.status == 200, "\(name): \(answer.text)")
      #expect(Array(answer.body.dropFirst(44)) == expected + silence)
    }
    let empty = try server.form([("text", nil, Array("Hello.".utf8)), ("voice_wav", "", [])])
    #expect(empty.status == 200)
    #expect(empty.body != Array([]) && Array(empty.body.dropFirst(44)) != expected + silence)
    for bytes in [Array("no sound".utf8), Array(recording.prefix(5000)), []] as [[UInt8]] {
      let answer = try server.form([
        ("text", nil, Array("Hello.".utf8)), ("voice_wav", "a.wav", bytes + [1]),
      ])
      #expect(answer.status == 400, "\(answer.text)")
      #expect(answer.text.contains("voice_wav: "))
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.file("tmp")).isEmpty)
  }

  @Test func theJSONInterfaceAnswers() throws {
    let server = try Server(["--voice", "me=\(model)/voice.wav"])
    let voiced = ["--voice", "\(model)/voice.wav"]
    let wav = try server.json(#"{"model": "x", "input": "Hello.", "voice": "me"}"#)
    #expect(wav.status == 200 && wav.isWhole)
    #expect(try Array(wav.body.dropFirst(44)) == samples("Hello.", voiced))
    let pcm = try server.json(
      #"{"input": "Hello.", "voice": "default", "response_format": "pcm", "seed": 7, "speed": 1.0}"#
    )
    #expect(pcm.headers["content-type"] == "audio/pcm")
    #expect(try pcm.body == samples("Hello.", voiced + ["--seed", "7"]))

    for (request, parameter) in [
      (#"{"input": "a", "voice": "alloy"}"#, "voice"), (#"{"voice": "me"}"#, "input"),
      (#"{"input": " "}"#, "input"), (#"{"input": 1}"#, "input"),
      (#"{"input": "a", "response_format": "mp3"}"#, "response_format"),
      (#"{"input": "a", "speed": 2}"#, "speed"), (#"{"input": "a", "seed": -1}"#, "seed"),
      (#"{"input": "a", "stream_format": "sse"}"#, "stream_format"),
      (#"{"input": "a", "instructions": "whisper"}"#, "instructions"),
      (#"{"input": "a", "pitch": 1}"#, "pitch"),
    ] {
      let answer = try server.json(request)
      #expect(answer.status == 400, "\(request)")
      let error = try JSON.parse(answer.body)["error"]
      #expect(error?["param"]?.string == parameter, "\(answer.text)")
      #expect(error?["type"]?.string == "invalid_request_error")
    }
    for request in ["", "{", "[]", "{\"input\": \"\u{0}\"}"] {
      #expect(try server.json(request).status == 400, "\(request)")
    }
    let mark = try server.json(#"{"input": "One. [pause] Two."}"#)
    #expect(mark.status == 400 && mark.text.contains("'[pause]' is no pause"))
  }

  @Test func wrongFormsAreRefused() throws {
    let server = try Server(["--voice", "me=\(model)/voice.wav"])
    let text: (String, String?, [UInt8]) = ("text", nil, Array("Hello.".utf8))
    for (fields, status) in [
      ([], 422), ([("text", nil, [])], 422), ([("voice_url", nil, Array("me".utf8))], 422),
      ([("text", nil, Array(" \n".utf8))], 400), ([("text", nil, [0xFF])], 400),
      ([text, ("voice_url", nil, Array("http://example.org/a.wav".utf8))], 400),
      ([text, ("voice_url", nil, Array("../voice".utf8))], 400),
      ([text, ("voice_url", nil, Array("me".utf8)), ("voice_wav", "a", [1])], 400),
      ([text, text], 400), ([text, ("speed", nil, [49])], 400),
    ] as [([(String, String?, [UInt8])], Int)] {
      let answer = try server.form(fields)
      #expect(answer.status == status, "\(fields.map(\.0)): \(answer.text)")
      #expect(try JSON.parse(answer.body)["detail"]?.string?.isEmpty == false)
    }
    let whole = multipart([text])
    for count in stride(from: 0, to: whole.count - 4, by: 7) {
      let answer = try server.exchange(post("/tts", formType, Array(whole[..<count])))
      #expect(answer.status == 400, "\(count) bytes: \(answer.text)")
    }
    #expect(try server.exchange(post("/tts", "text/plain", whole)).status == 400)
    // What is no HTTP ends the connection, not the server.
    for bytes in [
      "GARBAGE\r\n\r\n", "POST /tts HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "\r\n\r\n",
    ] {
      _ = try server.exchange(Array(bytes.utf8))
    }
    #expect(try server.get("/health").text == #"{"status":"healthy"}"#)
    #expect(try server.get("/nothing").status == 404)
    #expect(try server.get("/../../etc/passwd").status == 404)
    let method = try server.get("/tts")
    #expect(method.status == 405 && method.headers["allow"] == "POST")
  }

  @Test func sizesAreLimited() throws {
    let server = try Server(["--max-text", "20", "--max-upload", "1"])
    #expect(try server.say("Twenty characters ok").status == 200)
    #expect(try server.say("Twenty-one characters").status == 413)
    #expect(try server.json(#"{"input": "Twenty-one characters"}"#).status == 413)
    let large = try server.form([
      ("text", nil, [97]), ("voice_wav", "a.wav", [UInt8](repeating: 0, count: 2 << 20)),
    ])
    #expect(large.status == 413, "\(large.text)")
    // Nobody waits for what is announced.
    let claim = try server.exchange(
      Array("POST /tts HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n".utf8))
    #expect(claim.status == 413 && claim.headers["connection"] == "close")
    // After an answer the connection goes on where that is possible.
    let connection = try HTTPConnection(port: server.port)
    connection.send(post("/tts", formType, [UInt8](repeating: 45, count: 3 << 19), close: false))
    #expect(connection.answer().status == 413)
    connection.send(post("/tts", formType, multipart([("text", nil, [97])]), close: false))
    #expect(connection.answer().status == 200)
    connection.send(Array("GET /health HTTP/1.1\r\nHost: x\r\n\r\n".utf8))
    #expect(connection.answer().status == 200)
  }

  @Test(arguments: ["1", "3"]) func clientsDoNotDisturbEachOther(_ jobs: String) throws {
    let server = try Server(["--jobs", jobs, "--queue", "20"])
    let texts = (0..<12).map { "Number \($0), if you please." }
    let answers = Locked([Int: [UInt8]]())
    DispatchQueue.concurrentPerform(iterations: texts.count) { index in
      let body = try? server.say(texts[index]).body
      answers.withLock { $0[index] = body }
    }
    for (index, text) in texts.enumerated() {
      let body = try #require(answers.withLock { $0[index] })
      #expect(try Array(body.dropFirst(44)) == samples(text) + silence, "\(index)")
    }
    #expect(try server.metric("tts_first_audio_seconds_count") == 12)
    #expect(try server.wait("tts_requests_open", 0))
  }

  /// Starts a request that takes for ever, and waits for its first sound.
  private func endless(_ server: Server) throws -> HTTPConnection {
    let connection = try HTTPConnection(port: server.port)
    connection.send(post("/tts", formType, multipart([("text", nil, Array("Hello.".utf8))])))
    #expect(connection.receive())
    return connection
  }

  @Test func aFullQueueSaysSoAndALeavingClientMakesRoom() throws {
    let server = try Server(
      ["--queue", "1", "--max-frames", "1000000", "--eos-threshold", "1e9"])
    var speaking: HTTPConnection? = try endless(server)
    let waiting = try HTTPConnection(port: server.port)
    waiting.send(post("/tts", formType, multipart([("text", nil, Array("Next.".utf8))])))
    #expect(try server.wait("tts_requests_waiting", 1))
    let refused = try server.say("Me too.")
    #expect(refused.status == 503)
    #expect(refused.headers["retry-after"] != nil)
    #expect(try server.json(#"{"input": "Me too."}"#).status == 503)
    // The first client leaves; the second one's turn comes.
    #expect(try server.metric("tts_requests_cancelled_total") == 0)
    speaking = nil
    #expect(speaking == nil)
    #expect(waiting.receive())
    #expect(try server.wait("tts_requests_cancelled_total", 1))
    #expect(try server.metric("tts_requests_open") == 1)
  }

  @Test(arguments: [SIGTERM, SIGINT]) func aSignalEndsItWell(_ number: Int32) throws {
    let server = try Server(["--max-frames", "1000000", "--eos-threshold", "1e9"])
    let speaking = try endless(server)
    let result = server.stop(number)
    #expect(result.code == 0, "\(result.errors)")
    #expect(!result.timedOut && result.errors.isEmpty)
    #expect(!speaking.answer().isWhole)
  }

  @Test func whatCannotBeServedHasItsCode() throws {
    let server = try Server()
    func serve(_ arguments: [String]) throws -> ProcessResult {
      try runTool("tts-synth", ["serve"] + arguments, timeLimit: 30)
    }
    let taken = try serve(["--model", model, "--port", "\(server.port)"])
    #expect(taken.code == 69)
    #expect(taken.errors.hasPrefix("tts-synth: 127.0.0.1:\(server.port): cannot listen: "))
    for (arguments, code) in [
      ([], 64), (["--model", model, "--host", "nowhere"], 64), (["--model", "missing"], 66),
      (["--model", model, "--voice", "a=missing.wav"], 66),
      (["--model", model, "--port", "x"], 64),
      (["--model", model, "--voice", "a=b", "--voice", "a=c"], 64),
      (["--model", model, "--jobs", "0"], 64),
    ] as [([String], Int32)] {
      #expect(try serve(arguments).code == code, "\(arguments)")
    }
  }

  @Test func thePageHoldsAllItNeeds() throws {
    let server = try Server(["--voice", "me=\(model)/voice.wav"])
    let page = try server.get("/")
    #expect(page.status == 200 && page.headers["content-type"] == "text/html; charset=utf-8")
    #expect(page.text.contains("<option value=\"me\">"))
    #expect(!page.text.contains("http://") && !page.text.contains("https://"))
    #expect(page.headers["content-security-policy"]?.contains("default-src 'none'") == true)
    let metrics = try server.get("/metrics").text
    #expect(metrics.contains("tts_requests_total{route=\"/\",code=\"200\"} 1\n"))
    for line in metrics.split(separator: "\n") where !line.hasPrefix("#") {
      #expect(line.split(separator: " ").count == 2 && Double(line.split(separator: " ")[1]) != nil)
    }
  }
}
