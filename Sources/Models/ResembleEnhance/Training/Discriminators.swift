import NeuralNetworks
import Tensors

/// What tells generated sound from recorded sound while the vocoder learns: networks over the samples folded
/// by some periods (Kong et al., 2020), and over spectra of some resolutions (Jang et al., 2021).
struct Discriminators: Sendable {
  private let periods: [PeriodDiscriminator]
  private let resolutions: [ResolutionDiscriminator]

  private static let periods = [2, 3, 7, 13, 17]

  /// The channels of the networks.
  struct Sizes: Sendable {
    /// Of the convolutions over periods.
    var periods = [64, 128, 256, 512, 1024]
    /// Of the convolutions over spectra.
    var resolutions = 32

    /// The official sizes, or narrower ones.
    init(divisor: Int = 1) {
      periods = periods.map { max(1, $0 / divisor) }
      resolutions = max(1, resolutions / divisor)
    }

    /// The tensors by the package's names.
    var shapes: [String: [Int]] {
      var shapes: [String: [Int]] = [:]
      func add(_ name: String, _ shape: [Int]) {
        shapes[name + ".parametrizations.weight.original1"] = shape
        shapes[name + ".parametrizations.weight.original0"] = [shape[0], 1, 1, 1]
        shapes[name + ".bias"] = [shape[0]]
      }
      for index in Discriminators.periods.indices {
        for (layer, outputs) in periods.enumerated() {
          add("mpd.\(index).convs.\(layer)", [outputs, layer == 0 ? 1 : periods[layer - 1], 5, 1])
        }
        add("mpd.\(index).conv_post", [1, periods.last ?? 1, 3, 1])
      }
      for index in SpectralLoss.resolutions.indices {
        for layer in 0..<5 {
          add(
            "mrd.\(index).convs.\(layer)",
            [resolutions, layer == 0 ? 1 : resolutions, 3, layer < 4 ? 9 : 3])
        }
        add("mrd.\(index).conv_post", [1, resolutions, 3, 3])
      }
      return shapes
    }

    /// The sizes of tensors that were found to be discriminators.
    init(_ shapes: [String: [Int]]) {
      periods = (0..<5).map { shapes["mpd.0.convs.\($0).bias"]?[0] ?? 0 }
      resolutions = shapes["mrd.0.convs.0.bias"]?[0] ?? 0
    }
  }

  init(_ weights: Weights, _ sizes: Sizes = Sizes()) throws {
    periods = try Self.periods.enumerated().map { index, period in
      try PeriodDiscriminator(weights["mpd"][index], period: period, channels: sizes.periods)
    }
    resolutions = try SpectralLoss.resolutions.enumerated().map { index, resolution in
      try ResolutionDiscriminator(
        weights["mrd"][index], resolution, channels: sizes.resolutions)
    }
  }

  /// What the generator is to make small: the mean of the scores, negative.
  ///
  /// - Parameter fake: generated samples, `[batch, samples]`.
  func generatorLosses(_ fake: Tensor) -> (mpd: Tensor, mrd: Tensor) {
    (
      -mean(periods.map { $0(fake).mean() }), -mean(resolutions.map { $0(fake).mean() })
    )
  }

  /// What the discriminators are to make small: the hinge losses of generated and of recorded sound.
  ///
  /// - Parameters:
  ///   - fake: generated samples, `[batch, samples]`, a constant.
  ///   - real: recorded samples; the longer of both is cut.
  func losses(fake: Tensor, real: Tensor) -> [(name: String, loss: Tensor)] {
    let count = min(fake.columns, real.columns)
    let (fake, real) = (fake.detached().columns(0..<count), real.columns(0..<count))
    func hinge(_ scores: Tensor, _ sign: Float) -> Tensor { (scores * sign + 1).relu().mean() }
    return [
      ("mpd_fake", mean(periods.map { hinge($0(fake), 1) })),
      ("mpd_real", mean(periods.map { hinge($0(real), -1) })),
      ("mrd_fake", mean(resolutions.map { hinge($0(fake), 1) })),
      ("mrd_real", mean(resolutions.map { hinge($0(real), -1) })),
    ]
  }

  /// The scores of each network, for tests.
  func scores(_ samples: Tensor) -> (mpd: [Tensor], mrd: [Tensor]) {
    (periods.map { $0(samples) }, resolutions.map { $0(samples) })
  }

  private func mean(_ values: [Tensor]) -> Tensor {
    values.dropFirst().reduce(values[0], +) * (1 / Float(values.count))
  }
}

/// Scores of samples that are folded to lines of a period.
private struct PeriodDiscriminator: Sendable {
  private let convolutions: [Convolution]
  private let last: Convolution
  private let period: Int

  init(_ weights: Weights, period: Int, channels: [Int]) throws {
    convolutions = try channels.enumerated().map { index, outputs in
      try Convolution(
        weights["convs"][index], inputs: index == 0 ? 1 : channels[index - 1], outputs: outputs,
        ConvolutionShape(
          kernel: .init(5, 1), stride: .init(index == channels.count - 1 ? 1 : 3, 1),
          padding: .init(2, 0)), isNormed: true)
    }
    last = try Convolution(
      weights["conv_post"], inputs: channels.last ?? 1, outputs: 1,
      ConvolutionShape(kernel: .init(3, 1), padding: .init(1, 0)), isNormed: true)
    self.period = period
  }

  /// - Parameter samples: `[batch, samples]`.
  func callAsFunction(_ samples: Tensor) -> Tensor {
    let (batch, count) = (samples.rows, samples.columns)
    let lines = (count + period - 1) / period
    // The end is mirrored up to a whole line.
    let indices = (0..<batch).flatMap { row in
      (0..<lines * period).map { Int32(row * count + ($0 < count ? $0 : 2 * (count - 1) - $0)) }
    }
    let folded = samples.reshaped([batch * count, 1]).gatherRows(indices)
      .reshaped([batch, lines, period, 1])
    return last(convolutions.reduce(folded) { $1($0).leakyReLU() })
  }
}

/// Scores of a spectrum's magnitudes, without a window.
private struct ResolutionDiscriminator: Sendable {
  private let convolutions: [Convolution]
  private let last: Convolution
  private let transform: ShortTimeFourierTransform

  init(
    _ weights: Weights, _ resolution: (size: Int, hop: Int, window: Int), channels: Int
  ) throws {
    convolutions = try (0..<5).map { index in
      let width = index < 4 ? 9 : 3
      return try Convolution(
        weights["convs"][index], inputs: index == 0 ? 1 : channels, outputs: channels,
        ConvolutionShape(
          kernel: .init(3, width), stride: .init(1, (1...3).contains(index) ? 2 : 1),
          padding: .init(1, width / 2)), isNormed: true)
    }
    last = try Convolution(
      weights["conv_post"], inputs: channels, outputs: 1,
      ConvolutionShape(kernel: .init(3, 3), padding: .init(1, 1)), isNormed: true)
    transform = ShortTimeFourierTransform(
      size: resolution.size, hop: resolution.hop,
      window: [Float](repeating: 1, count: resolution.window))
  }

  /// - Parameter samples: `[batch, samples]`.
  func callAsFunction(_ samples: Tensor) -> Tensor {
    let magnitudes = transform.spectrum(samples, padding: .none).magnitudes()
    let image = magnitudes.permuted([0, 2, 1])
    let shape = image.shape + [1]
    return last(convolutions.reduce(image.reshaped(shape)) { $1($0).leakyReLU() })
  }
}
