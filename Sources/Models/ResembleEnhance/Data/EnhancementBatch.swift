import Tensors

/// Recordings as one row of a batch needs them: all of one length, each with a peak of 1 or silent.
struct TrainingSample: Sendable, Hashable {
  /// Clean speech.
  var foreground: [Float]
  /// The same, distorted; nil where it is not asked for.
  var distortedForeground: [Float]?
  /// Noise, distorted; nil where it is not asked for.
  var distortedBackground: [Float]?
}

/// What a step of training, or a validation, is made with: [rows, samples] each.
struct EnhancementBatch: Sendable {
  /// What the model hears.
  var input: Tensor
  /// What it is to make of it.
  var target: Tensor
  /// What the denoiser beside a flow is to make of it: the speech without the noise, but distorted. nil for
  /// other stages.
  var denoised: Tensor?
}
