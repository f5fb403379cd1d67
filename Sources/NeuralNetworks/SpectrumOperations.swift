import Base
public import Tensors

/// The short-time Fourier transform of rows of samples: linear; the reverse rule is its adjoint.
struct Analysis: Operation {
  let transform: ShortTimeFourierTransform
  let padding: ShortTimeFourierTransform.Padding
  let frames: Int

  func value(_ inputs: [Tensor]) -> Tensor {
    transform.analyze(padded(inputs[0]), frames: frames, weights: .init(ends: 1, between: 1))
  }

  func readsInputs(_ wanted: [Bool]) -> [Bool] { [false] }

  func pullback(_ inputs: [Tensor], _ output: Tensor, _ gradient: Tensor, _ wanted: [Bool])
    -> [Tensor?]
  {
    // Transforming back counts the bins between the ends twice.
    let samples = transform.overlapAdd(
      gradient, length: inputs[0].columns + 2 * margin, weights: .init(ends: 1, between: 0.5))
    return [folded(samples, inputs[0].shape)]
  }

  private var margin: Int { padding == .none ? 0 : transform.size / 2 }

  private func padded(_ x: Tensor) -> Tensor {
    let (count, margin) = (x.columns, margin)
    guard margin > 0 else { return x }
    precondition(padding != .reflection || count > margin, "more samples than are reflected")
    let width = count + 2 * margin
    return Tensor.written([x.rows, width]) { target in
      x.withValues { source in
        for row in 0..<x.rows {
          let (from, to) = (row * count, target + (row * width + margin))
          for index in 0..<count { to[index] = source[from + index] }
          guard padding == .reflection else { continue }
          for index in 1...margin {
            to[-index] = source[from + index]
            to[count - 1 + index] = source[from + count - 1 - index]
          }
        }
      }
    }
  }

  /// The adjoint of ``padded(_:)``.
  private func folded(_ gradient: Tensor, _ shape: [Int]) -> Tensor {
    let (count, margin) = (shape.last ?? 1, margin)
    guard margin > 0 else { return gradient.reshaped(shape) }
    let width = count + 2 * margin
    return Tensor.written(shape) { target in
      gradient.withValues { source in
        for row in 0..<gradient.rows {
          let (from, to) = (row * width + margin, target + row * count)
          for index in 0..<count { to[index] = source[from + index] }
          guard padding == .reflection else { continue }
          for index in 1...margin {
            to[index] += source[from - index]
            to[count - 1 - index] += source[from + count - 1 + index]
          }
        }
      }
    }
  }
}

/// The inverse by overlap and addition: linear; the reverse rule is its adjoint.
struct Synthesis: Operation {
  let transform: ShortTimeFourierTransform

  private var scale: Float { 1 / Float(transform.size) }

  /// One over the sum of squared windows, for the samples that are kept.
  private func gains(_ frames: Int) -> [Float] {
    transform.envelope(frames: frames).dropFirst(transform.size / 2).dropLast(transform.size / 2)
      .map { $0 > 1e-11 ? 1 / $0 : 1 }
  }

  func value(_ inputs: [Tensor]) -> Tensor {
    let (batch, frames) = (inputs[0].shape[0], inputs[0].shape[1])
    let count = transform.hop * max(0, frames - 1)
    let margin = transform.size / 2
    let samples = transform.overlapAdd(
      inputs[0], length: count + 2 * margin, weights: .init(ends: scale, between: scale))
    let gains = gains(frames)
    return Tensor.written([batch, count]) { target in
      samples.withValues { source in
        for row in 0..<batch {
          let from = row * (count + 2 * margin) + margin
          for index in 0..<count {
            target[row * count + index] = source[from + index] * gains[index]
          }
        }
      }
    }
  }

  func readsInputs(_ wanted: [Bool]) -> [Bool] { [false] }

  func pullback(_ inputs: [Tensor], _ output: Tensor, _ gradient: Tensor, _ wanted: [Bool])
    -> [Tensor?]
  {
    let frames = inputs[0].shape[1]
    let (count, margin) = (gradient.columns, transform.size / 2)
    let gains = gains(frames)
    let samples = Tensor.written([gradient.rows, count + 2 * margin]) { target in
      gradient.withValues { source in
        for row in 0..<gradient.rows {
          let to = target + (row * (count + 2 * margin) + margin)
          for index in 0..<count { to[index] = source[row * count + index] * gains[index] }
        }
      }
    }
    return [
      transform.analyze(
        samples, frames: frames, weights: .init(ends: scale, between: 2 * scale))
    ]
  }
}

/// Absolute values of complex numbers, real parts first: `[..., 2 n]` to `[..., n]`. The gradient at 0 is 0.
struct Magnitude: Operation {
  func value(_ inputs: [Tensor]) -> Tensor {
    let x = inputs[0]
    let width = x.columns / 2
    return Tensor.written(x.shape.dropLast() + [width]) { target in
      eachRow(x) { row, x in
        for index in 0..<width {
          let (a, b) = (x[index], x[width + index])
          target[row * width + index] = (a * a + b * b).squareRoot()
        }
      }
    }
  }

  func readsInputs(_ wanted: [Bool]) -> [Bool] { [true] }
  var readsOutput: Bool { true }

  func pullback(_ inputs: [Tensor], _ output: Tensor, _ gradient: Tensor, _ wanted: [Bool])
    -> [Tensor?]
  {
    let x = inputs[0]
    let width = x.columns / 2
    return [
      Tensor.written(x.shape) { target in
        output.withValues { y in
          gradient.withValues { gradient in
            let (y, gradient) = (ReadOnly(values: y), ReadOnly(values: gradient))
            eachRow(x) { row, x in
              let to = target + row * 2 * width
              for index in 0..<width {
                let length = y.values[row * width + index]
                let slope = length > 0 ? gradient.values[row * width + index] / length : 0
                to[index] = slope * x[index]
                to[width + index] = slope * x[width + index]
              }
            }
          }
        }
      }
    ]
  }

  private func eachRow(
    _ x: Tensor, _ body: @Sendable (Int, UnsafeBufferPointer<Float>) -> Void
  ) {
    ThreadBudget.forEach((x.rows + 31) / 32) { piece in
      x.withValues { values in
        for row in piece * 32..<min(x.rows, (piece + 1) * 32) {
          body(row, UnsafeBufferPointer(rebasing: values[row * x.columns..<(row + 1) * x.columns]))
        }
      }
    }
  }
}

extension Tensor {
  /// The magnitudes of spectra (``ShortTimeFourierTransform``): `[..., bins]`. Their gradient at 0 is 0.
  public func magnitudes() -> Tensor { apply(Magnitude(), [self]) }

  /// The powers of spectra (``ShortTimeFourierTransform``): `[..., bins]`.
  public func powers() -> Tensor {
    let parts = splitColumns(2)
    return parts[0].squared() + parts[1].squared()
  }

  /// Zeros, then written by several threads, each its own part.
  static func written(_ shape: [Int], _ body: (SharedValues) -> Void) -> Tensor {
    var result = Tensor.zeros(shape)
    result.mutate { values in
      if let base = values.baseAddress { body(SharedValues(base: base)) }
    }
    return result
  }
}

/// Memory that several threads may use at a time because each works on its own part.
struct SharedValues: @unchecked Sendable {
  let base: UnsafeMutablePointer<Float>
  static func + (values: SharedValues, offset: Int) -> UnsafeMutablePointer<Float> {
    values.base + offset
  }
  subscript(index: Int) -> Float {
    get { base[index] }
    nonmutating set { base[index] = newValue }
  }
}

/// Memory that nobody writes.
private struct ReadOnly: @unchecked Sendable { let values: UnsafeBufferPointer<Float> }
