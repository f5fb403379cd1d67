import Base
import Fourier
public import Tensors

/// The short-time Fourier transform of rows of samples, and its inverse: differentiable.
///
/// A spectrum is `[batch, frames, 2 · bins]`, bins = size / 2 + 1: the real parts first, then the imaginary
/// parts. Conventions are those of `torch.stft` and `torch.istft`.
public struct ShortTimeFourierTransform: Sendable {
  /// What stands in front of the samples and after them: half a transform at each end, so that a frame is
  /// centred on sample 0 and each hop.
  public enum Padding: Sendable, Hashable {
    /// Nothing: the first frame begins with the first sample.
    case none
    /// Zeros.
    case zeros
    /// The samples, backwards, without the one at the end: there must be more of them than are added.
    case reflection
  }

  /// Samples of a transform.
  public let size: Int
  /// Samples from one frame to the next.
  public let hop: Int
  /// Frequencies from 0 to half the rate.
  public var bins: Int { size / 2 + 1 }
  /// One a sample of a transform: the window in the middle, zeros at its sides.
  let window: [Float]
  let transform: RealTransform

  /// - Parameters:
  ///   - size: even.
  ///   - window: at most `size` samples.
  public init(size: Int, hop: Int, window: [Float]) {
    precondition(hop > 0 && !window.isEmpty && window.count <= size, "a window within a transform")
    self.size = size
    self.hop = hop
    let before = (size - window.count) / 2
    self.window =
      Array(repeating: 0, count: before) + window
      + Array(repeating: 0, count: size - window.count - before)
    transform = RealTransform(size: size)
  }

  /// Frames of so many samples.
  public func frames(of samples: Int, padding: Padding) -> Int {
    let padded = samples + (padding == .none ? 0 : size / 2 * 2)
    return padded < size ? 0 : (padded - size) / hop + 1
  }

  /// The spectrum of rows `[batch, samples]`: `[batch, frames, 2 · bins]`.
  ///
  /// - Parameter frames: fewer than there are, from the beginning; nil for all.
  public func spectrum(_ samples: Tensor, padding: Padding, frames: Int? = nil) -> Tensor {
    let all = self.frames(of: samples.columns, padding: padding)
    precondition(frames.map { $0 <= all } ?? true, "\(all) frames")
    return apply(
      Analysis(transform: self, padding: padding, frames: frames ?? all), [samples])
  }

  /// The samples of a spectrum whose frames are centred: `[batch, hop · (frames - 1)]`.
  ///
  /// Frames are windowed and added; the sum is divided by that of the squared windows, wherever it is above 0.
  public func inverse(_ spectrum: Tensor) -> Tensor {
    apply(Synthesis(transform: self), [spectrum])
  }
}

extension ShortTimeFourierTransform {
  /// What the bins of a spectrum are multiplied by: the two at its ends, which are real, and the others.
  struct Weights: Sendable {
    var ends: Float
    var between: Float
  }

  /// Frames that one thread works on in a go, and samples.
  private static let framesAtATime = 32
  private static let samplesAtATime = 1 << 14

  /// The windowed frames of rows `[batch, length]`, transformed: `[batch, frames, 2 · bins]`.
  func analyze(_ rows: Tensor, frames: Int, weights: Weights) -> Tensor {
    let (batch, length) = (rows.rows, rows.columns)
    return Tensor.written([batch, frames, 2 * bins]) { target in
      eachFrame(batch * frames) { index, plan, frame, window in
        let (row, number) = index.quotientAndRemainder(dividingBy: frames)
        rows.withValues { samples in
          let part = UnsafeBufferPointer(rebasing: samples[(row * length + number * hop)...])
          for place in 0..<size { frame[place] = part[place] * window[place] }
        }
        let real = target + index * 2 * bins
        plan.forward(frame, real: real, imaginary: real + bins)
        scale(real, by: weights)
        scale(real + bins, by: weights)
      }
    }
  }

  /// The frames of spectra, transformed back (times the size), windowed and added: `[batch, length]`.
  func overlapAdd(_ spectra: Tensor, length: Int, weights: Weights) -> Tensor {
    let (batch, frames) = (spectra.shape[0], spectra.shape[1])
    let parts = Tensor.written([batch, frames, size]) { target in
      eachFrame(batch * frames) { index, plan, frame, window in
        spectra.withValues { values in
          for bin in 0..<2 * bins { frame[bin] = values[index * 2 * bins + bin] }
        }
        scale(frame, by: weights)
        scale(frame + bins, by: weights)
        let samples = target + index * size
        plan.inverse(real: frame, imaginary: frame + bins, samples: samples)
        for place in 0..<size { samples[place] *= window[place] }
      }
    }
    // Each sample is the sum of its frames in their order, whoever adds them.
    return Tensor.written([batch, length]) { target in
      let pieces = (length + Self.samplesAtATime - 1) / Self.samplesAtATime
      ThreadBudget.forEach(batch * pieces) { index in
        let (row, piece) = index.quotientAndRemainder(dividingBy: pieces)
        let start = piece * Self.samplesAtATime
        let end = min(length, start + Self.samplesAtATime)
        parts.withValues { parts in
          let earliest = min(frames, max(0, (start - size) / hop))
          for number in earliest..<max(earliest, min(frames, (end - 1) / hop + 1)) {
            let first = number * hop
            let source = (row * frames + number) * size - first
            for place in max(start, first)..<max(start, first, min(end, first + size)) {
              target[row * length + place] += parts[source + place]
            }
          }
        }
      }
    }
  }

  /// The overlap-added squared window of so many frames.
  func envelope(frames: Int) -> [Float] {
    var sum = [Float](repeating: 0, count: hop * max(0, frames - 1) + size)
    let squares = window.map { $0 * $0 }
    for start in stride(from: 0, to: frames * hop, by: hop) {
      for place in 0..<size { sum[start + place] += squares[place] }
    }
    return sum
  }

  private func scale(_ bins: UnsafeMutablePointer<Float>, by weights: Weights) {
    bins[0] *= weights.ends
    for bin in 1..<max(1, self.bins - 1) { bins[bin] *= weights.between }
    bins[self.bins - 1] *= weights.ends
  }

  /// Calls a function for each frame, with a plan, memory for a frame or its spectrum, and the window.
  private func eachFrame(
    _ count: Int,
    _ body:
      @Sendable (
        Int, RealTransform.Plan, UnsafeMutablePointer<Float>, UnsafeBufferPointer<Float>
      ) -> Void
  ) {
    ThreadBudget.forEach((count + Self.framesAtATime - 1) / Self.framesAtATime) { piece in
      var memory = [Float](repeating: 0, count: 2 * bins)
      transform.withPlan { plan in
        memory.withUnsafeMutableBufferPointer { memory in
          window.withUnsafeBufferPointer { window in
            guard let frame = memory.baseAddress else { return }
            let first = piece * Self.framesAtATime
            for index in first..<min(count, first + Self.framesAtATime) {
              body(index, plan, frame, window)
            }
          }
        }
      }
    }
  }
}
