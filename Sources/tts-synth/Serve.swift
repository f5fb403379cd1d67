import ArgumentParser
import Base
import Filters
import Glibc
import ModelInterface
import ModelRegistry
import Server
import Speaking

/// `tts-synth serve`: text to speech over HTTP.
struct Serve: Tool {
  static let tool = ToolDescription(
    name: "tts-synth serve", abstract: "Speak over HTTP.",
    examples: [
      "tts-synth serve --model MODEL --voice me.wav --port 8000",
      "tts-synth serve --model MODEL --voice anna=anna.wav --voice paul=paul.safetensors",
      "curl -F text='Hello there.' http://127.0.0.1:8000/tts > hello.wav",
    ],
    discussion: """
      The address is printed on standard output once the port is open. GET / is a page to try it, \
      POST /tts takes the official package's form, POST /v1/audio/speech the widely used JSON; \
      GET /health and GET /metrics are for machines. Interrupting or terminating it ends it well, \
      with code 0.
      """)

  @Option(
    help: ArgumentHelp(
      "The model: a directory, a YAML file, or an official name (english).", valueName: "model"),
    completion: .file())
  var model: String
  @Option(
    help: ArgumentHelp(
      """
      A voice that requests may name; without a name, and the first one anyway, that of requests \
      which name none. Without any it is random.
      """, valueName: "[name=]voice"), completion: .file())
  var voice: [NamedVoice] = []
  @Option(help: ArgumentHelp("Listen on this address of the machine.", valueName: "address"))
  var host = "127.0.0.1"
  @Option(help: ArgumentHelp("Listen on this port; 0 for any that is free.", valueName: "n"))
  var port: UInt16 = 8000
  @Option(
    help: ArgumentHelp(
      "So many requests may wait behind those that are being spoken; more get 503.",
      valueName: "n"))
  var queue = 16
  @Option(
    help: ArgumentHelp(
      "Speak so many requests at a time: more speech a second, each slower.", valueName: "n"))
  var jobs = 1
  @Option(help: ArgumentHelp("Characters at most in a text.", valueName: "n"))
  var maxText = 10_000
  @Option(help: ArgumentHelp("Size at most of a request, in MiB.", valueName: "n"))
  var maxUpload = 16
  @OptionGroup var speech: SpeechOptions
  @OptionGroup var seed: SeedOption
  @OptionGroup var common: CommonOptions

  func validate() throws {
    guard (0...10_000).contains(queue) else {
      throw ValidationError("--queue must be between 0 and 10000.")
    }
    guard (1...1024).contains(jobs) else {
      throw ValidationError("--jobs must be between 1 and 1024.")
    }
    guard (1...1_000_000).contains(maxText) else {
      throw ValidationError("--max-text must be between 1 and 1000000.")
    }
    guard (1...1024).contains(maxUpload) else {
      throw ValidationError("--max-upload must be between 1 and 1024.")
    }
    let names = voice.compactMap(\.name)
    guard Set(names).count == names.count else {
      throw ValidationError("Two voices have the same name.")
    }
  }

  func execute(_ run: ToolRun) throws {
    let model = try speech.model(model)
    let single = try model.synthesizer(precision: speech.precision)
    let synthesizer = jobs == 1 ? single : single.inBatches()
    let voices = Voices(model: model, synthesizer: synthesizer)
    var named: [String: any Voice] = [:]
    var standard: (any Voice)?
    for entry in voice {
      let loaded = try voices.voice(entry.voice)
      if let name = entry.name { named[name] = loaded }
      standard = standard ?? loaded
    }
    let first = try standard ?? synthesizer.defaultVoice()
    // Brings the weights into memory, for which the first client would wait.
    var frame = speech.generation(seed: seed.seed)
    frame.maxFrames = 1
    _ = try synthesizer.speak("Hello.", voice: first, options: frame, name: "start") { _ in }
    let source = SpeechSource(
      model: model, synthesizer: synthesizer, voices: voices, standard: first, named: named,
      options: speech.generation(seed: seed.seed))
    let server = try SpeechServer(
      source,
      ServerSettings(
        host: host, port: port, queue: queue, jobs: jobs, longestText: maxText,
        largestBody: maxUpload << 20))
    let isStopped = Monitor(false)
    Interruption.onRequest { isStopped.withLock { $0 = true } }
    let address = try server.start()
    let output = try ByteOutput(path: nil)
    try output.write(address + "\n")
    try output.flush()
    _ = isStopped.wait { $0 || run.isInterrupted ? true : nil }
    server.stop()
    run.detail("stopped")
  }
}

/// `NAME=VOICE`, or a voice without a name.
struct NamedVoice: ExpressibleByArgument {
  var name: String?
  var voice: String

  init?(argument: String) {
    guard !argument.isEmpty else { return nil }
    let halves = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    let isName = halves[0].utf8.allSatisfy { byte in
      UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte || byte == UInt8(ascii: "-")
        || byte == UInt8(ascii: "_") || UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte | 0x20
    }
    if halves.count == 2, isName, !halves[0].isEmpty, !halves[1].isEmpty {
      name = String(halves[0])
      voice = String(halves[1])
    } else {
      voice = argument
    }
  }
}
