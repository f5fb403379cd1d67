import Audio
import AudioRecords
import Base
import Filters
import ModelInterface
import Records
import Safetensors
import Tensors

/// A recording of a sentence.
struct Reference: Sendable {
  /// Mono, at the model's rate.
  var samples: [Float]?
  /// As the language model sees them: `[frames, channels]`, normalised.
  var latents: Tensor?
  var seconds: Double
}

/// Makes references of what records hold. What is missing of audio and latents the model's codec makes
/// of the other; it is loaded when the first record needs it.
final class References: Sendable {
  private let model: any SpeechModel
  private let precision: WeightFormat
  private let synthesizer: any Synthesizer
  private let run: ToolRun
  private let shelf = Locked<Result<any AudioCodec, any Error>?>(nil)

  init(model: any SpeechModel, precision: WeightFormat, synthesizer: any Synthesizer, run: ToolRun)
  {
    self.model = model
    self.precision = precision
    self.synthesizer = synthesizer
    self.run = run
  }

  /// The reference of a sentence; nil where its record has none.
  ///
  /// - Throws: `badInput` when what it has is damaged or belongs to another model.
  func reference(of sentence: Sentence) throws -> Reference? {
    guard !sentence.parts.isEmpty else { return nil }
    var samples = try samples(of: sentence.parts)
    var latents = try latents(of: sentence.parts)
    if samples == nil, let raw = latents, let codec = try codec(), codec.decodesItsLatents {
      var decoder = codec.makeDecoder()
      samples = decoder.decode(raw)
    } else if latents == nil, let samples, let codec = try codec(), codec.decodesItsLatents {
      var encoder = codec.makeEncoder()
      latents = concatenateRows([encoder.encode(samples), encoder.finish()])
    }
    let seconds =
      samples.map { Double($0.count) / Double(synthesizer.sampleRate) }
      ?? latents.map { Double($0.rows) / synthesizer.frameRate } ?? 0
    guard seconds > 0 else { return nil }
    return Reference(
      samples: samples, latents: latents.map(synthesizer.normalized), seconds: seconds)
  }

  /// The audio of all parts; nil where one has none.
  private func samples(of parts: [Record]) throws -> [Float]? {
    guard parts.allSatisfy({ $0.arrays["audio"] != nil }) else { return nil }
    let rates = try parts.map { try $0.statedRate() }
    guard let rate = rates.first, rates.allSatisfy({ $0 == rate }) else {
      throw Failure.partsDisagree(parts[0].id)
    }
    let samples = try parts.flatMap { mono(try $0.samples()) }
    guard !samples.isEmpty else { throw Failure.noReferenceAudio() }
    guard rate != synthesizer.sampleRate else { return samples }
    var resampler = try ReferenceResampler(from: rate, to: synthesizer.sampleRate)
    return try resampler.all(samples)
  }

  /// The raw latents of all parts; nil where one has none.
  private func latents(of parts: [Record]) throws -> Tensor? {
    let arrays = parts.compactMap { $0.arrays["latents"] }
    guard arrays.count == parts.count else { return nil }
    let width = synthesizer.latentWidth
    for array in arrays {
      guard array.shape.count == 2, array.shape[1] == width else {
        throw Failure.latentsOfOtherModel(array.shape, width: width)
      }
    }
    let values = try arrays.flatMap { try $0.floats() }
    guard values.allSatisfy(\.isFinite) else { throw Failure.latentNotFinite() }
    return values.isEmpty ? nil : Tensor(values, shape: [values.count / width, width])
  }

  /// The codec; nil, with a warning, when the model's cannot be used.
  private func codec() throws -> (any AudioCodec)? {
    let result = shelf.withLock { shelf in
      let result = shelf ?? Result { try model.codec(precision: precision) }
      shelf = result
      return result
    }
    do {
      return try result.get()
    } catch let failure as Failure where failure.kind == .configuration {
      run.warnOnce(
        "\(failure.problem): records with audio alone are not compared by latents, those with "
          + "latents alone not by sound")
      return nil
    }
  }
}
