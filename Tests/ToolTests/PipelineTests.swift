import Foundation
import Records
import TestSupport
import Testing

/// The pipelines for recordings of one's own, on a small model.
@Suite(.enabled(if: isBuilt("tts-train"))) struct PipelineTests {
  let folder: ScratchFolder

  init() throws {
    folder = try ScratchFolder()
    var list = ""
    for (number, word) in "zero one two three four five six seven".split(separator: " ")
      .enumerated()
    {
      let pitch = 100 + 15 * Double(number)
      // Something like a voice: harmonics that come and go.
      let sound = (0..<24_000).map { place -> Float in
        let time = Double(place) / 24_000
        let harmonics = (1...12).reduce(0.0) {
          $0 + sin(2 * .pi * pitch * Double($1) * time) / Double($1)
        }
        return Float(0.2 * harmonics * pow(sin(4 * .pi * time), 2))
      }
      try folder.write(wave([sound], rate: 24_000), to: "wavs/\(number).wav")
      list += "wavs/\(number).wav|someone|Say \(word) times hello.\n"
    }
    try folder.write(list, to: "list.csv")
  }

  private func make(_ pipeline: String, _ more: String) throws -> ProcessResult {
    try runShell(
      """
      unset MAKEFLAGS MAKEOVERRIDES MAKELEVEL V   # the tests may have been started by make
      exec make -f '\(packageFolder)/pipelines/\(pipeline)' MODEL='\(fixture("PocketTTS/lsd_train"))' \
        METADATA=list.csv IMPORT_OPTIONS='--format list' SPLIT=train=0.5,valid=0.5 STEPS=2 BATCH=2 THREADS=1 \(more)
      """, directory: folder.path)
  }

  @Test func guidanceIsBuiltInAfterFineTuning() throws {
    let options = "RUN=run VOICE=wavs/1.wav REBAKE=1"
    let first = try make("finetune.mk", options)
    #expect(first.code == 0, "\(first.errors)")
    #expect(first.text.contains("flow_diag") && first.text.contains("distill_mse"), "\(first.text)")
    let record = String(decoding: try folder.read("run-guided/run.json"), as: UTF8.self)
    #expect(record.contains("guidance"))
    #expect(folder.has("run-speech.wav"))
    #expect(
      String(decoding: try folder.read("run-speech.wav.id"), as: UTF8.self).contains("run-guided"))
    // Nothing has changed, and nothing is done.
    let again = try make("finetune.mk", options)
    #expect(again.code == 0 && again.text.isEmpty, "\(again.text)")
    // Another model to learn from: the second run begins anew.
    let other = try make("finetune.mk", options + " LR=1e-3")
    #expect(other.code == 0, "\(other.errors)")
    #expect(folder.has("run.1") && folder.has("run-guided.1"), "\(other.text)")
  }

  @Test func anotherLanguageHasATokenizerOfItsOwn() throws {
    let result = try make("language.mk", "RUN=run PIECES=290 TOKENIZER_OPTIONS='--type bpe'")
    #expect(result.code == 0, "\(result.errors)")
    let config = String(decoding: try folder.read("run/config.yaml"), as: UTF8.self)
    #expect(config.contains("n_bins: 290"))
    let spoken = try runTool(
      "tts-synth", ["--model", "run", "--max-frames", "3", "--text", "Say two.", "-o", "two.wav"],
      directory: folder.path)
    #expect(spoken.code == 0, "\(spoken.errors)")
    let missing = try make("language.mk", "")
    #expect(missing.code != 0 && missing.errors.contains("RUN= is missing"), "\(missing.errors)")
  }

  /// Data sets and speech through a small denoiser.
  @Test(.enabled(if: isBuilt("tts-enhance") && EnhancementModels.denoiser != nil))
  func recordingsAndSpeechAreMadeBetter() throws {
    let model = try #require(EnhancementModels.denoiser)
    let options = "ENHANCE='\(model)' ENHANCE_OPTIONS='--mode denoise' WORK=work"
    let data = try make("enhance.mk", options + " data")
    #expect(data.code == 0, "\(data.errors)")
    let header = try RecordReader(path: folder.file("work/3-trimmed.ttsr")).header
    #expect(
      header.stages.map(\.tool) == ["tts-import", "tts-enhance", "tts-resample", "tts-vad"])
    #expect(try make("enhance.mk", options + " data").text.isEmpty)
    try folder.write("Hello there.\nAnd again.\n", to: "lines.txt")
    let speech = try make(
      "enhance.mk", options + " TEXT=lines.txt SYNTH_OPTIONS='--max-frames 3' speech")
    #expect(speech.code == 0, "\(speech.errors)")
    let files = try FileManager.default.subpathsOfDirectory(atPath: folder.file("work/speech"))
    #expect(files.filter { $0.hasSuffix(".wav") }.count == 2)
    let missing = try make("enhance.mk", "WORK=work data")
    #expect(missing.code != 0 && missing.errors.contains("ENHANCE= is missing"))
  }

  @Test(.enabled(if: isBuilt("tts-enhance"))) func anEnhancerIsTrainedInThreeTrainings() throws {
    let training = try EnhancementTraining()
    func make(_ more: String) throws -> ProcessResult {
      try runShell(
        """
        unset MAKEFLAGS MAKEOVERRIDES MAKELEVEL V
        exec make -f '\(packageFolder)/pipelines/enhance.mk' FG=fg BG=bg RIR=rir RUNS=runs THREADS=1 \
          CONFIG_DENOISER=denoiser.yaml CONFIG_STAGE1=enhancer1.yaml CONFIG_ENHANCER=enhancer2.yaml \
          STEPS_DENOISER=2 STEPS_STAGE1=1 STEPS_ENHANCER=1 \(more)
        """, directory: training.folder.path)
    }
    let first = try make("enhancer")
    #expect(first.code == 0, "\(first.errors)")
    #expect(first.text.contains("si_sdr_gain"), "\(first.text)")
    let again = try make("enhancer")
    #expect(again.code == 0 && again.text.isEmpty, "\(again.text)")
    // Another denoiser: what was begun with the first one begins anew, the autoencoder stays.
    let other = try make("enhancer STEPS_DENOISER=3")
    #expect(other.code == 0, "\(other.errors)")
    #expect(training.folder.has("runs/enhancer.1") && !training.folder.has("runs/denoiser.1"))
    #expect(!training.folder.has("runs/stage1.1"))
    let missing = try make("enhancer RUNS=")
    #expect(missing.code != 0 && missing.errors.contains("RUNS= is missing"), "\(missing.errors)")
  }
}
