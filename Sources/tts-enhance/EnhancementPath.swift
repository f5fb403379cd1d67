import Audio
import ModelInterface

/// The way that the samples of a recording go: to the model's rate, through the model, to the rate that is asked for;
/// the filter of the rates is that of the model's package.
struct EnhancementPath: Sendable {
  let enhancer: any SpeechEnhancer
  let options: EnhancementOptions
  /// The rate at the end.
  let rate: Int

  /// - Parameter rate: at the end; nil for the model's.
  init(enhancer: any SpeechEnhancer, options: EnhancementOptions, rate: Int?) {
    self.enhancer = enhancer
    self.options = options
    self.rate = rate ?? enhancer.sampleRate
  }

  /// Begins a recording.
  ///
  /// - Parameters:
  ///   - from: its rate.
  ///   - onStep: called often, with the seconds of it that are done; what it throws ends the work.
  func begin(
    from: Int, onStep: @escaping @Sendable (_ seconds: Double) throws -> Void
  ) throws -> Stream {
    let own = enhancer.sampleRate
    return Stream(
      before: from == own ? nil : try ReferenceResampler(from: from, to: own, filter: .torchaudio),
      middle: try enhancer.makeStream(options) { try onStep(Double($0) / Double(own)) },
      after: own == rate ? nil : try ReferenceResampler(from: own, to: rate, filter: .torchaudio))
  }

  /// One recording on its way.
  struct Stream {
    fileprivate var before: ReferenceResampler?
    fileprivate var middle: any EnhancementStream
    fileprivate var after: ReferenceResampler?

    /// - Parameter samples: mono, at the rate of the recording; finite.
    /// - Returns: the samples that are ready now.
    mutating func enhance(_ samples: [Float]) throws -> [Float] {
      let samples = before?.process(samples) ?? samples
      let better = try middle.enhance(samples)
      return after?.process(better) ?? better
    }

    /// The remaining samples.
    mutating func finish() throws -> [Float] {
      var better: [Float] = []
      if let rest = before?.finish() { better = try middle.enhance(rest) }
      better += try middle.finish()
      guard after != nil else { return better }
      return (after?.process(better) ?? []) + (after?.finish() ?? [])
    }
  }
}
