import Audio
import AudioRecords
import Base
import Filters
import ModelInterface
import Records
import Safetensors
import Tensors

/// Encodes or decodes the parts of each recording as one.
struct CodecWorker: RecordWorker {
  let codec: any AudioCodec
  let decodes: Bool
  let keeps: Bool
  /// Whether latents are stored as 16-bit floats.
  let halves: Bool
  let run: ToolRun

  /// What one recording needs from part to part.
  struct State {
    var resampler: ReferenceResampler?
    var encoder: (any AudioEncoder)?
    var decoder: (any AudioDecoder)?
    var rate: Int?
    var samples = 0
  }

  func initialState(id: String) -> State { State() }

  func process(_ record: Record, _ state: inout State) throws -> [Record] {
    [decodes ? try decode(record, &state) : try encode(record, &state)]
  }

  private func encode(_ record: Record, _ state: inout State) throws -> Record {
    let rate = try record.statedRate()
    var samples = mono(try record.samples())
    if state.encoder == nil {
      state.encoder = codec.makeEncoder()
      state.rate = rate
      if rate != codec.sampleRate {
        run.warnOnce(
          "audio at \(rate) Hz is resampled to the codec's \(codec.sampleRate) Hz on the way")
        state.resampler = try ReferenceResampler(from: rate, to: codec.sampleRate)
      }
    }
    guard rate == state.rate, var encoder = state.encoder else {
      throw Failure.partsDisagree(record.id)
    }
    state.encoder = nil
    state.samples += samples.count
    if var resampler = state.resampler {
      state.resampler = nil
      samples = resampler.process(samples)
      if record.isLastPart { samples += resampler.finish() }
      state.resampler = resampler
    }
    var latents = encoder.encode(samples)
    if record.isLastPart {
      guard state.samples > 0 else {
        throw Failure(
          .badInput, problem: "the audio is empty", remedy: "remove the recording or reject it")
      }
      latents = concatenateRows([latents, encoder.finish()])
    }
    state.encoder = encoder
    let values = latents.values
    let limit = halves ? Float(Float16.greatestFiniteMagnitude) : .greatestFiniteMagnitude
    guard values.allSatisfy({ abs($0) <= limit }) else {
      throw Failure(
        .badInput, problem: "the audio is too loud to encode: latents overflow",
        remedy: "scale the recording to between -1 and 1")
    }
    var result = record
    if !keeps {
      result.arrays["audio"] = nil
      result.metadata["audio_codec"] = nil
      result.metadata["sample_rate"] = nil
    }
    let shape = [latents.rows, codec.latentWidth]
    result.arrays["latents"] =
      halves ? .halves(values, shape: shape) : ArrayData(values, shape: shape)
    result.frameRate = codec.frameRate
    return result
  }

  private func decode(_ record: Record, _ state: inout State) throws -> Record {
    guard let array = record.arrays["latents"] else {
      throw Failure(
        .badInput, problem: "no latents", remedy: "encode the audio first, without --decode")
    }
    guard array.shape.count == 2, array.shape[1] == codec.latentWidth else {
      throw Failure(
        .badInput,
        problem: "latents of shape \(array.shape), the codec's have \(codec.latentWidth)"
          + " channels", remedy: "decode with the model that encoded them")
    }
    let values = try array.floats()
    guard values.allSatisfy(\.isFinite) else {
      throw Failure(
        .badInput, problem: "a latent is not a finite number", remedy: "encode the audio again")
    }
    var decoder = state.decoder ?? codec.makeDecoder()
    state.decoder = nil
    let samples = decoder.decode(Tensor(values, shape: array.shape))
    state.decoder = decoder
    var result = record
    if !keeps {
      result.arrays["latents"] = nil
      result.metadata["frame_rate"] = nil
    }
    try result.setSamples([samples], rate: codec.sampleRate, codec: .pcm)
    return result
  }
}
