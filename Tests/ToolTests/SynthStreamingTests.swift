import Base
import Foundation
import Glibc
import TestSupport
import Testing

/// Long texts, texts that are still being written, and players.
@Suite(.enabled(if: isBuilt("tts-synth"))) struct SynthStreamingTests {
  let folder: ScratchFolder
  let model = fixture("PocketTTS/lsd")

  init() throws { folder = try ScratchFolder() }

  private func prose(_ bytes: Int) -> String {
    var random = RandomNumbers(seed: 3)
    let words = ["the", "garden", "of", "yellow", "birds", "singing", "while", "rain", "falls"]
    var text = ""
    while text.utf8.count < bytes {
      text +=
        (0...random.index(below: 15)).map { _ in words[random.index(below: words.count)] }
        .joined(separator: " ") + ". "
    }
    return text
  }

  @Test(arguments: ["text", "paragraphs", "auto"])
  func speechBeginsBeforeTheTextEnds(_ format: String) throws {
    // One line, whose end has not come yet.
    let process = try RunningProcess(
      toolPath("tts-synth"),
      ["--model", model, "--max-frames", "2", "--format", "s16le", "--input-format", format],
      input: Array(prose(2000).utf8), keepsInputOpen: true, timeLimit: 60)
    for _ in 0..<3000 where process.outputSoFar.isEmpty { usleep(10_000) }
    #expect(!process.outputSoFar.isEmpty, "no sound while the input is open")
    let early = process.outputSoFar.count
    process.closeStandardInput()
    let result = process.wait()
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.output.count > early)
  }

  @Test func howALineArrivesDoesNotMatter() throws {
    let text = prose(3000)
    try folder.write(text, to: "line.txt")
    let arguments = "--model '\(model)' --max-frames 2 --format s16le"
    let whole = try runShell("tts-synth \(arguments) line.txt", directory: folder.path)
    let slow = try runShell(
      "(head -c 700 line.txt; sleep 0.3; tail -c +701 line.txt) | tts-synth \(arguments)",
      directory: folder.path)
    #expect(whole.code == 0, "\(whole.errors)")
    #expect(!whole.output.isEmpty && slow.output == whole.output)
  }

  @Test func memoryDoesNotGrowWithTheText() throws {
    func peak(_ bytes: Int) throws -> Int {
      let text = prose(bytes)
      let (result, peak) = try runMeasured(
        "tts-synth", ["--model", model, "--max-frames", "1", "--format", "s16le", "-q"],
        input: Array(text.utf8))
      #expect(result.code == 0, "\(result.errors)")
      #expect(result.output.count > bytes)
      return peak
    }
    let few = try peak(20_000)
    let many = try peak(200_000)
    #expect(
      many - few < 12 << 20, "\(few >> 20) MiB for 20 kB of text, \(many >> 20) MiB for 200 kB")
  }

  // MARK: Players

  /// A folder that is the whole search path, with a player in it.
  private func player(_ name: String, _ script: String) throws -> [String: String] {
    let path = try folder.write("#!/bin/sh\n" + script, to: "\(name)-path/script")
    // What this process has written may still be open in a child that another test starts, and then
    // cannot be run.
    let copied = try runShell(
      "cp script '\(name)' && chmod +x '\(name)'", directory: folder.file("\(name)-path"))
    #expect(copied.code == 0 && path.hasSuffix("script"))
    return ["PATH": folder.file("\(name)-path")]
  }

  private func play(
    _ environment: [String: String], _ arguments: [String] = ["--text", "Hello."]
  ) throws -> ProcessResult {
    try runTool(
      "tts-synth", ["--model", model, "--max-frames", "4", "--play"] + arguments,
      environment: environment, directory: folder.path, timeLimit: 60)
  }

  @Test(arguments: ["pw-play", "paplay", "aplay", "ffplay", "play"])
  func playersGetTheSamples(_ name: String) throws {
    let samples = try runTool(
      "tts-synth",
      ["--model", model, "--max-frames", "4", "--text", "Hello.", "--format", "s16le"]
    ).output
    let path = try player(
      name, "echo \"$@\" > '\(folder.path)/arguments'\nexec /bin/cat > '\(folder.path)/played'\n")
    let result = try play(path)
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.output.isEmpty)
    let played = try folder.read("played")
    let arguments = String(decoding: try folder.read("arguments"), as: UTF8.self)
    if ["pw-play", "ffplay"].contains(name) {
      #expect(played.starts(with: Array("RIFF".utf8)))
      #expect(Array(played.dropFirst(44)) == samples)
    } else {
      #expect(played == samples)
      #expect(arguments.contains("24000"))
    }
  }

  @Test func withoutAPlayerThereIsNoSound() throws {
    let none = try play(["PATH": folder.path])
    #expect(none.code == 69)
    #expect(none.errors.hasPrefix("tts-synth: --play: no program that plays audio"))
    let failing = try play(player("aplay", "/bin/cat > /dev/null\nexit 3\n"))
    #expect(failing.code == 69)
    #expect(failing.errors.hasPrefix("tts-synth: aplay: it stopped playing (exit code 3)"))
    let deaf = try play(
      player("paplay", "exit 0\n"), ["--text", "Hello.", "--max-frames", "200"])
    #expect(deaf.code == 69, "\(deaf.errors)")
    #expect(try play(["PATH": folder.path], ["--text", "a", "-o", "x.wav"]).code == 64)
  }

  @Test func anInterruptionStopsThePlayer() throws {
    let pid = folder.file("pid")
    let path = try player(
      "play", "echo $$ > '\(pid).new'; /bin/mv '\(pid).new' '\(pid)'\nexec /bin/sleep 100\n")
    let process = try RunningProcess(
      toolPath("tts-synth"),
      [
        "--model", model, "--max-frames", "400", "--eos-threshold", "1e9", "--play", "--text",
        "Hi.",
      ],
      environment: path, timeLimit: 60)
    for _ in 0..<3000 where !folder.has("pid") { usleep(10_000) }
    // Until the pipe is full.
    usleep(300_000)
    process.signal(SIGTERM)
    let result = process.wait()
    #expect(result.code == 75, "\(result.errors)")
    #expect(!result.timedOut)
    let text = String(decoding: try folder.read("pid"), as: UTF8.self)
    let child = try #require(Int32(text.trimmingCharacters(in: .whitespacesAndNewlines)))
    #expect(kill(child, 0) != 0)
  }
}
