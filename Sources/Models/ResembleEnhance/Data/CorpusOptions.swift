import Base
import ModelInterface

extension EnhancementStage {
  /// Whether noise and rooms are needed.
  var distorts: Bool { self != .autoencoder }
}

/// What is learned from, and how samples are drawn from it.
struct CorpusOptions: Sendable, Hashable {
  /// What the samples are for.
  var stage: EnhancementStage
  /// Folders of clean speech, of noise, and of room responses.
  var foreground = "data/fg"
  var background = "data/bg"
  var rooms = "data/rir"
  /// Samples of a row in training.
  var samples = recordingRate
  /// Rows of a batch.
  var rows = 16
  /// How much of a mixture is speech: from where to where, see ``mixture(_:_:alpha:)``.
  var alphas: ClosedRange<Double> = 0.2...0.8
  /// How often the denoiser's foreground is the distorted one.
  var distortion: Float = 0.5
  /// How often the package changes a speaker's voice with Praat, which is not done here.
  var voiceChange = 0.0
  /// Samples of a validation recording that are used; the package takes all.
  var longestValidation = 30 * recordingRate
  /// Whether what the package does wrong is done as it does it: room responses at 44,000 Hz that move the
  /// signal, and silence that overdrive turns into a constant.
  var followsPackage = false

  /// The defaults of the package.
  init(stage: EnhancementStage) { self.stage = stage }

  /// What hyper-parameters say.
  ///
  /// - Parameter file: where they stand, for messages.
  /// - Throws: `configuration` for what cannot be done.
  init(_ parameters: HyperParameters, stage: EnhancementStage, file: String) throws {
    self.init(stage: stage)
    func number(_ key: String, in range: ClosedRange<Double>) throws -> Double {
      try parameters.number(key, in: range, file: file)
    }
    func text(_ key: String) -> String {
      if case .text(let text) = parameters[key] { text } else { "" }
    }
    guard !stage.distorts || parameters["load_fg_only"] != .flag(true) else {
      throw Failure.configuration(
        file, "'load_fg_only' is true, --stage \(stage.rawValue) needs noise and rooms",
        "give the configuration of that stage")
    }
    foreground = text("fg_dir")
    background = text("bg_dir")
    rooms = text("rir_dir")
    let rate = Double(recordingRate)
    _ = try number("wav_rate", in: rate...rate)
    // The shortest is three frames, which is what the networks' padding needs.
    let seconds = try number("training_seconds", in: 1260 / rate...60)
    samples = Int(seconds * rate)
    rows = Int(try number("batch_size_per_gpu", in: 1...4096))
    distortion = Float(try number("distort_prob", in: 0...1))
    voiceChange = try number("praat_augment_prob", in: 0...1)
    guard case .numbers(let ends) = parameters["mix_alpha_range"], ends.count == 2,
      0 <= ends[0], ends[0] <= ends[1], ends[1] <= 1
    else {
      throw Failure.configuration(
        file, "'mix_alpha_range' is no interval", "give two numbers from 0 to 1, as [0.2, 0.8]")
    }
    alphas = ends[0]...ends[1]
  }
}
