import Base
import Foundation
import Glibc
import TestSupport
import Testing

/// What `tts-enhance train` refuses: one line on stderr, the right code, and nothing that looks like a run.
@Suite(.enabled(if: isBuilt("tts-enhance") && isBuilt("tts-model")))
struct EnhanceTrainWrongInputTests {
  let training: EnhancementTraining
  var folder: ScratchFolder { training.folder }

  init() throws { training = try EnhancementTraining() }

  private func fails(
    _ code: Int32, _ words: String..., stage: String = "denoiser", with more: [String] = [],
    location: SourceLocation = #_sourceLocation
  ) throws {
    let before = try folder.names()
    let result = try training.train(stage, "bad", more)
    #expect(result.code == code, "\(words): \(result.errors)", sourceLocation: location)
    #expect(
      result.errors.hasPrefix("tts-enhance: ")
        && result.errors.split(separator: "\n").count == 1 && result.output.isEmpty,
      "\(words): \(result.errors)", sourceLocation: location)
    for word in words {
      #expect(result.errors.contains(word), "\(result.errors)", sourceLocation: location)
    }
    #expect(try folder.names() == before, sourceLocation: location)
  }

  @Test func foldersWithoutRecordings() throws {
    try FileManager.default.createDirectory(
      atPath: folder.file("empty"), withIntermediateDirectories: false)
    try fails(65, "empty: ", "recordings of noise", with: ["--bg", "empty"])
    try fails(65, "empty: ", "room responses", with: ["--rir", "empty"])
    try fails(65, "empty: ", "clean speech", with: ["--fg", "empty"])
    try fails(66, "nowhere: ", with: ["--fg", "nowhere"])
    try fails(66, "nowhere: ", with: ["--rir", "nowhere"])
    // Ten are kept for validation, and one at least is learned from.
    for number in 0..<10 { try training.writeSpeech("few/\(number).wav", number) }
    try fails(65, "few: ", "11", with: ["--fg", "few"])
    try training.writeSpeech("few/10.WAV", 10)
    try training.run("denoiser", "run", ["--fg", "few", "--steps", "1"])
    // Where nothing is said, the configuration's folders count, and these are not there.
    let words = training.arguments("denoiser", "bad").filter { !["--bg", "bg"].contains($0) }
    let result = try runTool("tts-enhance", words, directory: folder.path)
    #expect(result.code == 66 && result.errors.contains("data/bg"), "\(result.errors)")
  }

  @Test func configurationsOfSomethingElse() throws {
    try fails(78, "denoiser.yaml: ", stage: "enhancer1", with: ["--config", "denoiser.yaml"])
    try fails(78, "enhancer1.yaml: ", with: ["--config", "enhancer1.yaml"])
    try fails(
      78, "enhancer2.yaml: 'lcfm_training_mode' is cfm", stage: "enhancer1",
      with: ["--config", "enhancer2.yaml"])
    try folder.write("load_fg_only: true\ngan_training_start_step: 5000\n", to: "stage1.yaml")
    try fails(78, "stage1.yaml: 'gan_training_start_step'", with: ["--config", "stage1.yaml"])
    try folder.write("load_fg_only: true\n", to: "stage1.yaml")
    try fails(78, "stage1.yaml: 'load_fg_only'", with: ["--config", "stage1.yaml"])
    try folder.write("training_secconds: 3\n", to: "wrong.yaml")
    try fails(78, "wrong.yaml: 'training_secconds'", with: ["--config", "wrong.yaml"])
    try folder.write("fg_dir: !!python/object/apply:os.system [ls]\n", to: "wrong.yaml")
    try fails(78, "wrong.yaml: 'fg_dir' refuses", with: ["--config", "wrong.yaml"])
    try folder.write("- a\n- b\n", to: "wrong.yaml")
    try fails(78, "wrong.yaml: ", with: ["--config", "wrong.yaml"])
    try fails(66, "nowhere.yaml", with: ["--config", "nowhere.yaml"])
    for (change, word) in [
      ("trainig_seconds=3", "'trainig_seconds' is no hyper-parameter"),
      ("distort_prob=2", "'distort_prob' is 2"), ("max_steps=0", "'max_steps' is 0"),
      ("max_lr=0", "'max_lr' is 0"), ("warmup_steps=-1", "'warmup_steps' is -1"),
      ("wav_rate=48000", "'wav_rate' is 48000"), ("hop_size=0", "'hop_size' is 0"),
      ("training_seconds=0.001", "'training_seconds'"),
      ("batch_size_per_gpu=0", "'batch_size_per_gpu'"),
      ("mix_alpha_range=[0.8, 0.2]", "'mix_alpha_range'"),
    ] { try fails(78, word, with: ["--set", change]) }
    try fails(64, "--autoencoder", with: ["--autoencoder", "x"])
  }

  @Test func modelsThatDoNotSuit() throws {
    try training.run("enhancer1", "one", ["--steps", "1"])
    try training.run("denoiser", "denoiser", ["--steps", "1"])
    func flow(_ code: Int32, _ words: String, _ model: String) throws {
      try fails(code, words, stage: "enhancer2", with: ["--autoencoder", model])
    }
    try flow(66, "nowhere: --autoencoder", "nowhere")
    try flow(78, "denoiser: --autoencoder: it is the model of a denoiser", "denoiser")
    try flow(66, "--autoencoder: not a model of Resemble-Enhance", fixture("PocketTTS/lsd"))
    try fails(
      78, "one: --denoiser: it is the model of an enhancer", stage: "enhancer2",
      with: ["--autoencoder", "one", "--denoiser", "one"])
    try fails(78, "--start", stage: "denoiser", with: ["--start", "one"])
    try fails(
      64, "--autoencoder", stage: "enhancer2", with: ["--start", "one", "--autoencoder", "one"])
    // A run directory of the package is to be converted first.
    let converted = try runTool(
      "tts-model", ["convert", "--to", "pt", "one", "-o", "package"], directory: folder.path)
    #expect(converted.code == 0, "\(converted.errors)")
    try flow(66, "tts-model convert", "package")
    // Nobody said which: the flow cannot begin from nothing.
    var words = training.arguments("enhancer2", "bad")
    let place = try #require(words.firstIndex(of: "--autoencoder"))
    words.removeSubrange(place..<place + 2)
    let result = try runTool("tts-enhance", words, directory: folder.path)
    #expect(result.code == 64 && result.errors.contains("--autoencoder"), "\(result.errors)")
    // Weights of another size than the configuration says.
    try fails(
      78, "tensor '", stage: "enhancer2", with: ["--autoencoder", "one", "--set", "num_mels=16"])
    // Weights that are not whole.
    let whole = try folder.read("one/model.safetensors")
    try folder.write(Array(whole.dropLast(100)), to: "one/model.safetensors")
    try flow(65, "one/model.safetensors", "one")
  }

  @Test func checkpointsOfAnotherModel() throws {
    try training.run("denoiser", "run", ["--steps", "2"])
    try training.run("enhancer1", "other", ["--steps", "2"])
    for suffix in ["json", "safetensors"] {
      let name = "checkpoints/00000002." + suffix
      try folder.write(folder.read("other/" + name), to: "run/" + name)
    }
    let weights = try training.weights("run")
    let result = try training.train("denoiser", "run", ["--steps", "4", "--resume"])
    #expect(result.code == 78, "\(result.errors)")
    #expect(
      result.errors.split(separator: "\n").allSatisfy {
        $0.contains("it belongs to another model")
      },
      "\(result.errors)")
    #expect(try training.weights("run") == weights)
  }

  @Test func recordingsThatCannotBeRead() throws {
    try folder.write("This is a text.\n", to: "fg/a/text.wav")
    // Numbers of 32 bits, the first of which is none.
    var header = wave([[0, 0]], rate: 44_100, claiming: 13_230 * 4)
    header[20] = 3
    header[34] = 32
    header[32] = 4
    var samples = [Float](repeating: 0.1, count: 13_230)
    for index in 0..<samples.count where index % 100 == 0 { samples[index] = .nan }
    let bytes = samples.withUnsafeBytes { Array($0) }
    try folder.write(Array(header.prefix(44)) + bytes, to: "fg/b/nan.wav")
    try folder.write([UInt8](), to: "bg/empty.wav")
    let result = try training.run("denoiser", "run", ["--steps", "12"])
    for name in ["fg/a/text.wav", "fg/b/nan.wav"] {
      let lines = result.errors.split(separator: "\n").filter { $0.contains(name) }
      #expect(lines.count == 1, "\(name): \(result.errors)")
    }
    #expect(try training.metric("loss", "run").allSatisfy { $0?.isFinite == true })
    #expect(try training.progress("run", "train").count == 12)

    // Where there is nothing else, the run ends with the reason.
    for number in 0..<12 { try folder.write("No sound.\n", to: "texts/\(number).wav") }
    let none = try training.train("denoiser", "none", ["--fg", "texts"])
    #expect(none.code == 65 && none.errors.contains("texts"), "\(none.errors)")
    #expect(!folder.has("none/model.safetensors"))
  }
}
