import Base
import CSamplerate

/// libsamplerate at work, streaming: best band-limited interpolation, aligned, exact in length.
final class LibraryResampler: @unchecked Sendable {
  private let state: OpaquePointer
  private let up: Int
  private let down: Int
  private var received = 0
  private var produced = 0

  init(up: Int, down: Int) throws {
    self.up = up
    self.down = down
    var code: Int32 = 0
    guard let state = src_new(Int32(SRC_SINC_BEST_QUALITY), 1, &code) else {
      throw Failure.sampleRateConverter(
        reason: String(cString: src_strerror(code)), code: .noResources)
    }
    self.state = state
  }

  deinit { src_delete(state) }

  /// The output samples that these input samples complete.
  func process(_ samples: [Float]) throws -> [Float] {
    received += samples.count
    let result = try convert(samples)
    produced += result.count
    return result
  }

  /// The rest, with zeros after the last input sample.
  func finish() throws -> [Float] {
    let total = resampledCount(received, up: up, down: down)
    var rest: [Float] = []
    // The end-of-input flag may stop a sample early: zeros do not.
    let zeros = [Float](repeating: 0, count: 4096)
    var rounds = 0
    while produced + rest.count < total {
      rest += try convert(zeros)
      rounds += 1
      guard rounds < 1000 else {
        throw Failure.sampleRateConverter(reason: "no output", code: .internalFault)
      }
    }
    rest.removeLast(max(0, produced + rest.count - total))
    produced += rest.count
    return rest
  }

  private func convert(_ samples: [Float]) throws -> [Float] {
    let ratio = Double(up) / Double(down)
    var result: [Float] = []
    result.reserveCapacity(Int(Double(samples.count) * ratio) + 16)
    var chunk = [Float](repeating: 0, count: 8192)
    var offset = 0
    while true {
      let (used, made) = try samples.withUnsafeBufferPointer { input in
        try chunk.withUnsafeMutableBufferPointer { output in
          var data = SRC_DATA()
          data.data_in = input.baseAddress.map { $0 + offset }
          data.input_frames = input.count - offset
          data.data_out = output.baseAddress
          data.output_frames = output.count
          data.src_ratio = ratio
          let code = src_process(state, &data)
          guard code == 0 else {
            throw Failure.sampleRateConverter(
              reason: String(cString: src_strerror(code)), code: .internalFault)
          }
          return (data.input_frames_used, data.output_frames_gen)
        }
      }
      offset += used
      result.append(contentsOf: chunk[..<made])
      if made < chunk.count && offset >= samples.count { return result }
      if made == 0 && used == 0 { return result }
    }
  }
}
