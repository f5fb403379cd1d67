import Audio
import Base
import Foundation
import Records
import Safetensors
import TestSupport
import Testing

/// `tts-enhance` on recordings, with a small model.
@Suite(.enabled(if: isBuilt("tts-enhance") && EnhancementModels.small != nil)) struct EnhanceTests {
  let folder: ScratchFolder
  let model: String

  init() throws {
    folder = try ScratchFolder()
    model = try #require(EnhancementModels.small)
  }

  @discardableResult
  func run(_ arguments: [String], input: [UInt8]? = nil, code: Int32 = 0, _ words: String...)
    throws -> ProcessResult
  {
    let result = try runTool(
      "tts-enhance", ["--model", model] + arguments, input: input, directory: folder.path)
    let comment: Comment = "\(arguments): \(result.errors)"
    #expect(result.code == code, comment)
    for word in words { #expect(result.errors.contains(word), comment) }
    return result
  }

  func denoise(_ arguments: [String], input: [UInt8]? = nil, code: Int32 = 0) throws
    -> ProcessResult
  {
    try run(["--mode", "denoise"] + arguments, input: input, code: code)
  }

  func samples(_ name: String) throws -> [Float] {
    let file = try AudioFile(path: folder.file(name))
    #expect(file.channels == 1)
    return try file.readAll()[0]
  }

  /// A WAV file of 16 bits in the folder.
  func sound(_ name: String, seconds: Double = 0.6, rate: Int = 44100, channels: Int = 1) throws {
    let sounds = (0..<channels).map {
      speechLike(seconds: seconds, rate: rate, seed: UInt64($0 + name.utf8.count))
    }
    try folder.write(wave(sounds, rate: rate), to: name)
  }

  // MARK: One recording

  @Test(arguments: [8000, 16000, 44100, 48000])
  func aRecordingKeepsItsLength(rate: Int) throws {
    try sound("in.wav", rate: rate, channels: 2)
    _ = try denoise(["in.wav", "-o", "out.wav"])
    let file = try AudioFile(path: folder.file("out.wav"))
    #expect(file.rate == 44100 && file.channels == 1 && file.frames == 26460)
    let made = try samples("out.wav")
    #expect(made.allSatisfy(\.isFinite) && made.contains { $0 != 0 })
    _ = try denoise(["--rate", "16000", "in.wav", "-o", "out.wav"])
    #expect(try AudioFile(path: folder.file("out.wav")).rate == 16000)
    #expect(try samples("out.wav").count == 9600)
  }

  @Test func channelsBecomeTheirMean() throws {
    let (left, right) = (
      speechLike(seconds: 0.4, rate: 44100), speechLike(seconds: 0.4, rate: 44100, seed: 9)
    )
    func write(_ channels: [[Float]], to name: String) throws {
      let writer = try AudioFileWriter(
        path: folder.file(name), format: .wavFloat, rate: 44100, channels: channels.count)
      try writer.write(channels)
      try writer.finish()
    }
    try write([left, right], to: "stereo.wav")
    try write([zip(left, right).map { ($0 + $1) / 2 }], to: "mean.wav")
    #expect(try denoise(["stereo.wav"]).output == denoise(["mean.wav"]).output)
  }

  @Test func outputsHaveTheFormThatIsAskedFor() throws {
    try sound("in.wav")
    _ = try denoise(["in.wav", "-o", "float.wav"])
    _ = try denoise(["--codec", "i16", "in.wav", "-o", "short.wav"])
    _ = try denoise(["in.wav", "-o", "name.flac"])
    #expect(try folder.read("float.wav").count == 26460 * 4 + 58)
    #expect(try folder.read("short.wav").count == 26460 * 2 + 44)
    #expect(try folder.read("name.flac").starts(with: Array("fLaC".utf8)))
    let exact = try samples("float.wav")
    for name in ["short.wav", "name.flac"] {
      let worst = try zip(samples(name), exact).reduce(0) {
        max($0, abs($1.0 - max(-1, min(1, $1.1))))
      }
      #expect(worst < 1e-4, "\(name)")
    }
    try run(["--codec", "flac", "in.wav"], code: 64, "FLAC needs a file")
  }

  @Test func pipesCarryAudio() throws {
    try sound("in.wav", seconds: 0.3)
    let bytes = try folder.read("in.wav")
    let whole = try denoise(["in.wav", "-o", "out.wav"])
    #expect(whole.output.isEmpty && whole.errors.isEmpty)
    // Of unknown length, as speech comes from tts-synth.
    var open = bytes
    for place in [4, 40] { open.replaceSubrange(place..<place + 4, with: [255, 255, 255, 255]) }
    for input in [bytes, open] {
      let piped = try denoise([], input: input).output
      // The lengths in the header are not known in a pipe.
      #expect(try piped.dropFirst(58) == folder.read("out.wav").dropFirst(58))
      #expect(try denoise(["-"], input: input).output == piped)
    }
    let redirected = try runShell(
      "'\(toolPath("tts-enhance"))' --model '\(model)' --mode denoise < in.wav > again.wav",
      directory: folder.path)
    #expect(redirected.code == 0, "\(redirected.errors)")
    #expect(try folder.read("again.wav") == folder.read("out.wav"))
    let flac = try FLAC.encode(try AudioFile(path: folder.file("in.wav")).readAll(), rate: 44100)
    #expect(
      try denoise([], input: flac).output.dropFirst(58) == folder.read("out.wav").dropFirst(58))
  }

  @Test func theSeedDecides() throws {
    try sound("in.wav", seconds: 0.2)
    func enhanced(_ arguments: String...) throws -> [UInt8] {
      let made = try run(["--nfe", "2", "in.wav"] + arguments).output
      #expect(made.count == 8820 * 4 + 58)
      return made
    }
    let first = try enhanced()
    #expect(try enhanced("-T", "1") == first && enhanced("-T", "3") == first)
    #expect(try enhanced("--seed", "7") != first)
    #expect(try enhanced("--solver", "euler") != first)
    #expect(try enhanced("--lambd", "0") != first)
    #expect(try enhanced("--tau", "0") != first)
  }

  @Test(.enabled(if: runsSlowTests)) func memoryDoesNotGrowWithTheRecording() throws {
    let denoiser = try #require(EnhancementModels.denoiser)
    let peaks = try [3, 30].map { minutes in
      let sound = speechLike(seconds: 60, rate: 8000)
      try folder.write(
        wave([Array(repeatElement(sound, count: minutes).joined())], rate: 8000), to: "in.wav")
      let (result, peak) = try runMeasured(
        "tts-enhance",
        ["--model", denoiser, "--mode", "denoise", "-T", "2", "in.wav", "-o", "out.wav"],
        directory: folder.path, timeLimit: 600)
      #expect(result.code == 0, "\(result.errors)")
      #expect(try AudioFile(path: folder.file("out.wav")).frames == minutes * 60 * 44100)
      return peak >> 20
    }
    print("memory: \(peaks) MiB: tts-enhance of 3 and 30 minutes")
    #expect(peaks[1] - peaks[0] < 64)
  }

  // MARK: Several

  @Test func foldersAreMirrored() throws {
    try sound("in/a.wav", seconds: 0.2)
    try sound("in/b/c.d.WAV", seconds: 0.2, rate: 22050)
    try sound("in/.hidden.wav", seconds: 0.2)
    try folder.write("no sound", to: "in/notes.txt")
    try sound("alone.wav", seconds: 0.2)
    let result = try denoise(["in/", "alone.wav", "-o", "out"])
    #expect(result.errors.hasPrefix("tts-enhance: 3 recordings, "), "\(result.errors)")
    #expect(try folder.names() == ["alone.wav", "in", "out"])
    let made = try FileManager.default.subpathsOfDirectory(atPath: folder.file("out")).sorted()
    #expect(made == ["a.wav", "alone.wav", "b", "b/c.d.wav"])
    _ = try denoise(["in/a.wav", "-o", "a.wav"])
    #expect(try folder.read("a.wav") == folder.read("out/a.wav"))
    // A folder for one recording, by its slash or because it is there.
    _ = try denoise(["in/a.wav", "-o", "new/"])
    #expect(try folder.read("new/a.wav") == folder.read("a.wav"))
    _ = try denoise(["-q", "--suffix", "WAV", "--codec", "flac", "in", "-o", "new"])
    #expect(
      try FileManager.default.subpathsOfDirectory(atPath: folder.file("new")).sorted()
        == ["a.wav", "b", "b/c.d.flac"])
    // Halves of the work are all of it.
    for half in ["0/2", "1/2"] { _ = try denoise(["--shard", half, "in", "-o", "halves"]) }
    #expect(
      try FileManager.default.subpathsOfDirectory(atPath: folder.file("halves")).sorted()
        == ["a.wav", "b", "b/c.d.wav"])
  }

  @Test func outputsWithinTheInputAreNoRecordings() throws {
    try sound("in/a.wav", seconds: 0.1)
    for _ in 0..<2 { _ = try denoise(["in", "-o", "in/better"]) }
    #expect(
      try FileManager.default.subpathsOfDirectory(atPath: folder.file("in")).sorted()
        == ["a.wav", "better", "better/a.wav"])
    let before = try folder.read("in/a.wav")
    try run(["in", "-o", "in"], code: 64, "in/a.wav: the output would replace the recording")
    try run(["in/a.wav", "-o", "in/a.wav"], code: 64, "would replace")
    #expect(try folder.read("in/a.wav") == before)
    try folder.write(FLAC.encode([[0, 0.5]], rate: 44100), to: "in/a.flac")
    try run(["in", "-o", "x"], code: 64, "it would go to x/a.wav, as ")
    try run(["in"], code: 64, "give -o FOLDER")
    #expect(!folder.has("x"))
  }

  @Test func whatIsThereIsLeftOut() throws {
    for name in ["a", "b", "c"] { try sound("in/\(name).wav", seconds: 0.1) }
    try folder.write("finished", to: "out/b.wav")
    try folder.write("cut", to: "out/.c.wav.tmp-1-1")
    let result = try denoise(["--skip-existing", "in", "-o", "out", "--report", "report.json"])
    #expect(try String(decoding: folder.read("out/b.wav"), as: UTF8.self) == "finished")
    #expect(try samples("out/a.wav").count == 4410 && samples("out/c.wav").count == 4410)
    #expect(result.errors.hasPrefix("tts-enhance: 2 of 3 recordings, "), "\(result.errors)")
    let report = try JSON.parse(folder.read("report.json"))
    #expect(report["counts"]?["written"]?.integer == 2)
    #expect(report["counts"]?["skipped"]?.integer == 1)
    #expect(report["audio_seconds"]?.double == 0.2)
  }

  @Test func oneBadRecordingStopsNoOther() throws {
    try sound("in/a.wav", seconds: 0.1)
    try folder.write("These are words.\n", to: "in/b.wav")
    try folder.write(
      wave([speechLike(seconds: 0.1, rate: 8000)], rate: 8000, claiming: 100_000), to: "in/c.wav")
    try sound("in/d.wav", seconds: 0.1)
    let result = try denoise(["in", "-o", "out", "--report", "r.json"], code: 65)
    let lines = result.errors.split(separator: "\n")
    #expect(lines.count == 4, "\(result.errors)")
    #expect(lines.contains { $0.contains("warning: in/b.wav: not an audio file") })
    #expect(lines.contains { $0.contains("warning: in/c.wav: the audio is cut short") })
    #expect(lines.last?.contains("2 of 4 recordings could not be enhanced") == true)
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: folder.file("out")).sorted()
        == ["a.wav", "d.wav"])
    #expect(try JSON.parse(folder.read("r.json"))["counts"]?["failed"]?.integer == 2)
    let strict = try denoise(["--on-error", "fail", "in", "-o", "strict"], code: 65)
    #expect(strict.errors.split(separator: "\n").count == 1)
    #expect(!folder.has("strict/d.wav"))
  }

  // MARK: Wrong input

  @Test func wrongRecordingsAreNamed() throws {
    func fails(_ code: Int32, _ words: String, _ name: String) throws {
      for output in [["-o", "x.wav"], []] {
        let before = try folder.names()
        let result = try run(["--mode", "denoise", name] + output, code: code, "\(name): \(words)")
        #expect(result.errors.split(separator: "\n").count == 1, "\(result.errors)")
        #expect(try result.output.isEmpty && folder.names() == before)
      }
    }
    try folder.write("These are words.\n", to: "text.wav")
    try fails(65, "not an audio file", "text.wav")
    try folder.write(wave([[]], rate: 44100), to: "empty.wav")
    try fails(65, "the audio is empty", "empty.wav")
    try folder.write([], to: "nothing.wav")
    try fails(65, "the file holds no bytes", "nothing.wav")
    try fails(66, "no such file", "missing.wav")
    try folder.write([0x28, 0xB5, 0x2F, 0xFD, 0, 1, 2, 3], to: "stream.wav")
    try run(["stream.wav"], code: 65, "stream.wav: ")
    try run([], input: Array("These are words.\n".utf8), code: 65, "standard input: not an audio")
    try sound("a.wav", seconds: 0.1)
    try writeStream([makeRecord(id: "a")], to: folder.file("a.ttsr"))
    try run(["a.wav", "a.ttsr", "-o", "x"], code: 64, "a.ttsr: a record stream after a recording")
    try run(["--skip-existing", "a.ttsr"], code: 64, "--skip-existing")
    try run(["--suffix", "x", "a.wav"], code: 64, "--suffix")
    try run(["a.wav", "-o", "none/x.wav"], code: 73, "none/x.wav")
    try folder.write("", to: "bare/readme.txt")
    try run(["bare", "-o", "x"], code: 66, "bare: no recordings in the folder")
  }

  @Test func samplesMustBeNumbers() throws {
    let rate = 44100
    var values = speechLike(seconds: 3, rate: rate)
    values[100_000] = .nan
    let writer = try AudioFileWriter(
      path: folder.file("nan.wav"), format: .wavFloat, rate: rate, channels: 1)
    try writer.write([values])
    try writer.finish()
    let result = try denoise(["nan.wav", "-o", "x.wav"], code: 65)
    #expect(result.errors.contains("nan.wav: sample 100000 is not a finite number"))
    #expect(try folder.names() == ["nan.wav"])
  }

  @Test func optionsThatMakeNoSenseAreRefused() throws {
    for arguments in [
      ["--nfe", "0"], ["--nfe", "129"], ["--solver", "rk4", "--nfe", "2"],
      ["--solver", "rk4", "--nfe", "3"], ["--solver", "heun"], ["--lambd", "1.5"],
      ["--lambd", "-0.1"], ["--tau", "2"], ["--tau", "nan"], ["--rate", "5"], ["--mode", "louder"],
      ["--precision", "int8"], ["--suffix", ""],
    ] {
      let result = try run(arguments + ["in.wav"], code: 64)
      #expect(!result.errors.isEmpty && result.output.isEmpty, "\(arguments)")
    }
  }

  @Test func constantsThatNothingCanBeComputedWithAreRefused() throws {
    try sound("in.wav", seconds: 0.1)
    let config = String(
      decoding: try readFile(model + "/config.yaml", limit: 1 << 16), as: UTF8.self)
    try FileManager.default.createDirectory(
      atPath: folder.file("odd"), withIntermediateDirectories: true)
    try FileManager.default.createSymbolicLink(
      atPath: folder.file("odd/model.safetensors"),
      withDestinationPath: model + "/model.safetensors")
    for (right, wrong) in [
      ("hop_size: 420", "hop_size: 512"), ("hop_size: 420", "hop_size: 0"),
      ("wav_rate: 44100", "wav_rate: 48000"), ("n_fft: 1024", "n_fft: 1025"),
      ("cfm_time_mapping_divisor: 4", "cfm_time_mapping_divisor: 1"),
      ("lcfm_z_scale: 6", "lcfm_z_scale: 0"),
    ] {
      #expect(config.contains(right))
      try folder.write(config.replacingOccurrences(of: right, with: wrong), to: "odd/config.yaml")
      let result = try runTool(
        "tts-enhance", ["--model", "odd", "in.wav", "-o", "x.wav"], directory: folder.path)
      #expect(result.code == 78, "\(wrong): \(result.errors)")
      #expect(result.errors.contains("'\(wrong.prefix { $0 != ":" })' is "), "\(result.errors)")
      #expect(!folder.has("x.wav"))
    }
  }

  @Test func otherModelsAreNamed() throws {
    try sound("in.wav", seconds: 0.1)
    func fails(_ code: Int32, _ path: String, _ words: String, _ more: [String] = []) throws {
      let result = try runTool(
        "tts-enhance", ["--model", path, "in.wav", "-o", "x.wav"] + more, directory: folder.path)
      #expect(result.code == code, "\(result.errors)")
      #expect(result.errors.hasPrefix("tts-enhance: \(path)"), "\(result.errors)")
      #expect(result.errors.contains(words) && !folder.has("x.wav"), "\(result.errors)")
    }
    try fails(
      78, fixture("PocketTTS/lsd"),
      "a model of Pocket TTS, which enhances no recordings; give a model of Resemble-Enhance")
    let run = fixture("ResembleEnhance/layout/denoiser_run")
    try fails(78, run, "tts-model convert")
    try fails(78, run + "/ds/G/default/mp_rank_00_model_states.pt", "tts-model convert")
    try fails(66, "nowhere", "not a model")
    try folder.write("model: something-else\n", to: "other/config.yaml")
    try fails(78, "other", "a model of Pocket TTS")
    let converted = try runTool("tts-model", ["convert", run, "-o", folder.file("denoiser")])
    #expect(converted.code == 0)
    try fails(78, "denoiser", "--mode denoise")
    // Tensors of another architecture under this one's configuration.
    try folder.write(
      folder.read("denoiser/config.yaml"), to: "mixed/config.yaml")
    try folder.write(
      Array(
        FileManager.default.contents(atPath: fixture("PocketTTS/lsd/model.safetensors")) ?? Data()),
      to: "mixed/model.safetensors")
    try fails(78, "mixed", "there is no tensor", ["--mode", "denoise"])
  }

  // MARK: Signals

  @Test func interruptionLeavesNothing() throws {
    try sound("long.wav", seconds: 120, rate: 8000)
    for (number, code) in [(SIGTERM, 75), (SIGINT, 75), (SIGKILL, 137)] {
      let process = try RunningProcess(
        toolPath("tts-enhance"),
        ["--model", model, "--nfe", "128", folder.file("long.wav"), "-o", folder.file("out.wav")],
        timeLimit: 60)
      for _ in 0..<2000 where try !folder.names().contains(where: { $0.contains(".tmp-") }) {
        usleep(5000)
      }
      process.signal(number)
      let result = process.wait()
      #expect(result.code == Int32(code), "\(result.errors)")
      #expect(!folder.has("out.wav"))
      let left = try folder.names().filter { $0.contains(".tmp-") }
      #expect(number == SIGKILL ? left.allSatisfy { $0.hasPrefix(".") } : left.isEmpty)
    }
  }
}
