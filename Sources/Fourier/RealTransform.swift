import Base
import CKissFFT
import Glibc

/// The discrete Fourier transform of real samples, of one even size, in float32 (KISS FFT).
///
/// X[k] = Σ_n x[n] e^(-2πi k n / size) for k = 0 … size / 2; the other bins are their conjugates. Fast for
/// sizes of small prime factors. May be used by several threads at a time.
public struct RealTransform: Sendable {
  /// Samples of a transform.
  public let size: Int
  /// Bins from 0 to the Nyquist frequency.
  public var bins: Int { size / 2 + 1 }
  /// Those that nobody uses at the moment.
  private let plans: Locked<[Plan]>

  /// - Parameter size: even, at least 2.
  public init(size: Int) {
    precondition(size >= 2 && size % 2 == 0 && size <= 1 << 24, "an even size")
    self.size = size
    plans = Locked([])
  }

  /// Lends a plan to work with; the next one who asks gets it afterwards.
  public func withPlan<Result>(_ body: (Plan) throws -> Result) rethrows -> Result {
    let plan = plans.withLock { $0.popLast() } ?? Plan(size: size)
    defer { plans.withLock { $0.append(plan) } }
    return try body(plan)
  }

  /// The bins of one stretch of samples.
  public func forward(_ samples: [Float]) -> (real: [Float], imaginary: [Float]) {
    precondition(samples.count == size, "as many samples as the size")
    var real = [Float](repeating: 0, count: bins)
    var imaginary = real
    withPlan { $0.forward(samples, real: &real, imaginary: &imaginary) }
    return (real, imaginary)
  }

  /// Tables and memory to work in: of one thread at a time.
  public final class Plan: @unchecked Sendable {
    private let size: Int
    private let bins: Int
    private let ahead: kiss_fftr_cfg
    private let back: kiss_fftr_cfg
    private let spectrum: UnsafeMutablePointer<kiss_fft_cpx>

    fileprivate init(size: Int) {
      self.size = size
      bins = size / 2 + 1
      guard let ahead = kiss_fftr_alloc(Int32(size), 0, nil, nil),
        let back = kiss_fftr_alloc(Int32(size), 1, nil, nil)
      else { preconditionFailure("out of memory") }
      (self.ahead, self.back) = (ahead, back)
      spectrum = .allocate(capacity: bins)
      spectrum.initialize(repeating: kiss_fft_cpx(), count: bins)
    }

    deinit {
      free(UnsafeMutableRawPointer(ahead))
      free(UnsafeMutableRawPointer(back))
      spectrum.deallocate()
    }

    /// From `size` samples to `bins` bins.
    public func forward(
      _ samples: UnsafePointer<Float>, real: UnsafeMutablePointer<Float>,
      imaginary: UnsafeMutablePointer<Float>
    ) {
      kiss_fftr(ahead, samples, spectrum)
      for bin in 0..<bins {
        real[bin] = spectrum[bin].r
        imaginary[bin] = spectrum[bin].i
      }
    }

    /// From `bins` bins back to `size` samples, times the size. The imaginary parts of the first and the last
    /// bin, which real samples do not have, are not read.
    public func inverse(
      real: UnsafePointer<Float>, imaginary: UnsafePointer<Float>,
      samples: UnsafeMutablePointer<Float>
    ) {
      for bin in 0..<bins { spectrum[bin] = kiss_fft_cpx(r: real[bin], i: imaginary[bin]) }
      kiss_fftri(back, spectrum, samples)
    }
  }
}
