import Base
import Foundation
import TestSupport
import Testing

/// Models from a hub, as the tools take them.
@Suite struct HubToolTests {
  private let home: ScratchFolder
  private let hub: LocalHub

  init() throws {
    home = try ScratchFolder()
    hub = try LocalHub(folder: packageFolder + "/Tests/Fixtures")
  }

  private func run(
    _ tool: String, _ arguments: [String], _ fault: String = "none",
    _ environment: [String: String] = [:], input: String? = nil, directory: String? = nil
  ) throws -> ProcessResult {
    try runTool(
      tool, arguments, input: input.map { Array($0.utf8) },
      environment: hub.environment(fault, home: home.path).merging(environment) { $1 },
      directory: directory, timeLimit: 60)
  }

  private func lines(_ result: ProcessResult) -> [String] {
    result.text.split(separator: "\n").map(String.init)
  }

  /// A configuration whose files are on the hub.
  private func remote(_ text: String) -> String {
    text.replacing("tokenizer.json", with: "hf://PocketTTS/lsd/tokenizer.json@main")
      .replacing("model.safetensors", with: "hf://PocketTTS/lsd/model.safetensors@main")
  }

  private func configuration() throws -> String {
    String(decoding: try readFile(fixture("PocketTTS/lsd/config.yaml")), as: UTF8.self)
  }

  @Test func filesAreFetchedAndPrinted() throws {
    let names = ["hf://some/model/weights-3000000.bin", "hf://PocketTTS/lsd/config.txt@v1"]
    let first = try run("tts-model", ["fetch", names[0]])
    #expect(first.code == 0, "\(first.errors)")
    #expect(first.errors.isEmpty)
    let paths = lines(first)
    #expect(paths.count == 1 && paths[0].hasPrefix(home.path))
    #expect(try readFile(paths.first ?? "").count == 3_000_000)
    let missing = try run("tts-model", ["fetch", names[1]])
    #expect(missing.code == 66)
    #expect(missing.errors.contains("no such file"))
    #expect(missing.errors.split(separator: "\n").count == 1)
    #expect(try run("tts-model", ["fetch", "hf://a/b"]).code == 64)
    #expect(try run("tts-model", ["fetch", "--voice", "alba", names[0]]).code == 64)
    #expect(try run("tts-model", ["fetch", "nobody"]).code == 66)
    let offline = ["HF_HUB_OFFLINE": "1"]
    #expect(try run("tts-model", ["fetch", names[0]], "none", offline).text == first.text)
  }

  @Test func aConfigurationWithFilesOnAHubSpeaks() throws {
    let folder = try ScratchFolder()
    let file = try folder.write(remote(try configuration()), to: "mine.yaml")
    let arguments = ["--text", "Hello.", "--max-frames", "4", "--temperature", "0"]
    let here = try run("tts-synth", ["--model", fixture("PocketTTS/lsd")] + arguments)
    let there = try run("tts-synth", ["--model", file] + arguments)
    #expect(there.code == 0, "\(there.errors)")
    #expect(there.output == here.output && !here.output.isEmpty)
    // A file beside the configuration wins over its hf:// path.
    try folder.write("not a tokenizer", to: "tokenizer.json")
    let beside = try run("tts-synth", ["--model", file] + arguments)
    #expect(beside.code != 0 && beside.errors.contains("\(folder.path)/tokenizer.json"))
  }

  @Test func aConfigurationOnAHubSpeaks() throws {
    let arguments = ["--text", "Hello.", "--max-frames", "4", "--temperature", "0"]
    let here = try run("tts-synth", ["--model", fixture("PocketTTS/lsd")] + arguments)
    // Its relative paths start where it lies.
    let model = ["--model", "hf://PocketTTS/lsd/config.yaml@v1"]
    let there = try run("tts-synth", model + arguments)
    #expect(there.code == 0, "\(there.errors)")
    #expect(there.output == here.output && !here.output.isEmpty)
    let voice = ["--voice", "hf://PocketTTS/lsd/voice.safetensors"]
    let spoken = try run("tts-synth", model + voice + arguments)
    #expect(spoken.code == 0, "\(spoken.errors)")
    #expect(spoken.output != here.output)
    let local = ["--voice", fixture("PocketTTS/lsd/voice.safetensors")]
    #expect(try run("tts-synth", model + local + arguments).output == spoken.output)
  }

  @Test func voicesAreFoundByName() throws {
    let model = try ScratchFolder()
    for name in ["config.yaml", "model.safetensors", "tokenizer.json"] {
      try model.write(readFile(fixture("PocketTTS/lsd/\(name)")), to: name)
    }
    try model.write(
      readFile(fixture("PocketTTS/lsd/voice.safetensors")), to: "voices/me.safetensors")
    let arguments = ["--model", model.path, "--text", "Hello.", "--max-frames", "4"]
    let named = try run("tts-synth", arguments + ["--voice", "me"])
    #expect(named.code == 0, "\(named.errors)")
    let file = try run("tts-synth", arguments + ["--voice", model.file("voices/me.safetensors")])
    #expect(named.output == file.output)
    // A file wins; what is neither is refused with the names that there are.
    let folder = try ScratchFolder()
    try folder.write("no sound", to: "me")
    #expect(try run("tts-synth", arguments + ["--voice", "me"], directory: folder.path).code == 65)
    for voice in ["alba", "../me", "me.wav"] {
      let refused = try run("tts-synth", arguments + ["--voice", voice])
      #expect(refused.code == 66, "\(refused.errors)")
      #expect(refused.errors.contains(voice == "alba" ? "or one of me" : "no such file"))
    }
    #expect(try hub.requests().isEmpty)
  }

  @Test func aRecordsWrongVoiceRejectsTheRecordAlone() throws {
    let lines = ["hf://a/b", "hf://PocketTTS/lsd/nothing.wav", ""].map { voice in
      voice.isEmpty ? #"{"text": "Hello."}"# : #"{"text": "Hello.", "voice": "\#(voice)"}"#
    }
    let result = try run(
      "tts-synth",
      [
        "--model", fixture("PocketTTS/lsd"), "--max-frames", "4", "--input-format", "jsonl",
        "--format", "f32le",
      ], input: lines.joined(separator: "\n") + "\n")
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.errors.split(separator: "\n").count == 2)
    #expect(!result.output.isEmpty)
  }

  /// The hub's files are not weights here; what is asked of it, and where that is put, is the same.
  @Test func anOfficialNameIsFetchedFromItsPlaces() throws {
    let files = try ScratchFolder()
    let tiny = "languages/english_2m_2026-10"
    try files.write(
      "open weights", to: "kyutai/pocket-tts-without-voice-cloning/\(tiny)/model.safetensors")
    try files.write(
      "tokenizer", to: "kyutai/pocket-tts-without-voice-cloning/\(tiny)/tokenizer.model")
    try files.write(
      "alba", to: "kyutai/pocket-tts-without-voice-cloning/\(tiny)/embeddings/alba.safetensors")
    try files.write("weights", to: "kyutai/pocket-tts/\(tiny)/model.safetensors")
    let official = try LocalHub(folder: files.path, acceptsAnyCommit: true)
    func fetch(_ fault: String, _ token: String = "", _ more: [String] = [], offline: String = "")
      throws -> ProcessResult
    {
      let variables = ["HF_TOKEN": token, "HF_HUB_OFFLINE": offline]
      return try runTool(
        "tts-model", ["fetch", "english_2m_2026-10"] + more,
        environment: official.environment(fault, home: home.path).merging(variables) { $1 })
    }
    // Refused: the open weights stand in, and a warning says how to get the others.
    let open = try fetch("gatedweights", "", ["--voice", "alba"])
    #expect(open.code == 0, "\(open.errors)")
    #expect(open.errors.contains("HF_TOKEN") && open.errors.contains("without voice cloning"))
    #expect(open.errors.split(separator: "\n").count == 1)
    #expect(try lines(open).map { try readFile($0).count } == [9, 12, 4])
    // Then it asks nothing more.
    let before = try official.requests().count
    let again = try fetch("gatedweights", "", ["--voice", "alba"])
    #expect(again.text == open.text && again.errors.isEmpty)
    #expect(try fetch("gatedweights", offline: "1").code == 0)
    #expect(try official.requests().count == before)
    // With a token it does, and a hub that is down does not matter.
    let down = try fetch("down", "hf_x")
    #expect(down.code == 0 && down.errors.contains("without voice cloning"), "\(down.errors)")
    let cloning = try fetch("none", "hf_x")
    #expect(try lines(cloning).map { try readFile($0).count } == [9, 7])
    #expect(cloning.errors.isEmpty)
    let unknown = try fetch("none", "", ["--voice", "nobody"])
    #expect(unknown.code == 66 && unknown.errors.contains("alba, anna"))
  }

  @Test func aKilledFetchLeavesNothingThatLooksWhole() throws {
    let name = "hf://some/model/weights-3000000.bin"
    let process = try RunningProcess(
      toolPath("tts-model"), ["fetch", name],
      environment: hub.environment("slowonce", home: home.path))
    let blobs = "hub/models--some--model/blobs"
    func parts() -> [String] {
      (try? FileManager.default.contentsOfDirectory(atPath: home.file(blobs))) ?? []
    }
    for _ in 0..<500 where parts().isEmpty { usleep(10000) }
    usleep(300_000)
    process.signal(SIGKILL)
    _ = process.wait()
    #expect(parts().count == 1 && parts().allSatisfy { $0.hasSuffix(".incomplete") })
    #expect(!home.has("hub/models--some--model/snapshots"))
    let again = try run("tts-model", ["fetch", name], "slowonce")
    #expect(again.code == 0, "\(again.errors)")
    #expect(try readFile(lines(again).first ?? "").count == 3_000_000)
    #expect(parts().count == 1 && !parts().contains { $0.hasSuffix(".incomplete") })
    #expect(try hub.requests().last?.range?.hasPrefix("bytes=") == true)
  }

  @Test func aSignalEndsAFetchCleanly() throws {
    let process = try RunningProcess(
      toolPath("tts-model"), ["fetch", "hf://some/model/weights-3000000.bin"],
      environment: hub.environment("slow", home: home.path))
    for _ in 0..<500 where !home.has("hub/models--some--model/blobs") { usleep(10000) }
    usleep(200_000)
    process.signal(SIGTERM)
    let result = process.wait()
    #expect(result.code == 75 && !result.timedOut)
  }
}
