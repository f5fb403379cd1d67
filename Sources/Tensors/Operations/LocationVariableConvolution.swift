import Base
import CKernels

/// A convolution over time whose kernel changes from frame to frame (Zeng et al., 2021). Inputs: x
/// `[batch, frames * hop, channels]`; kernels `[batch, frames, size]`, of each frame what ``PackedMatrix``
/// holds of `[outputs, taps * channels]`; biases `[batch, frames, outputs]`.
struct LocationVariableConvolution: Operation {
  let taps: Int
  let outputs: Int

  private struct Sizes {
    let batch, frames, hop, channels, inputs: Int
  }

  private func sizes(_ x: Tensor, _ kernels: Tensor) -> Sizes {
    let frames = kernels.shape[1]
    return Sizes(
      batch: x.shape[0], frames: frames, hop: x.shape[1] / frames, channels: x.columns,
      inputs: taps * x.columns)
  }

  /// Zeros around the signal.
  private func padded(_ x: Tensor) -> Tensor {
    let steps = x.shape[1] + taps - 1
    let side = taps / 2 * x.columns
    return Tensor(shape: [x.shape[0], steps, x.columns]) { target in
      for row in 0..<x.shape[0] {
        let start = target + row * steps * x.columns
        start.update(repeating: 0, count: side)
        (start + side).update(
          from: x.pointer + row * x.shape[1] * x.columns, count: x.shape[1] * x.columns)
        (start + steps * x.columns - side).update(repeating: 0, count: side)
      }
    }
  }

  func value(_ inputs: [Tensor]) -> Tensor {
    let (x, kernels, biases) = (inputs[0], inputs[1], inputs[2])
    let sizes = sizes(x, kernels)
    let padded = padded(x)
    return Tensor(shape: [sizes.batch, x.shape[1], outputs]) { target in
      multiply(padded, kernels, biases, sizes, into: target)
    }
  }

  private func multiply(
    _ padded: Tensor, _ kernels: Tensor, _ biases: Tensor, _ sizes: Sizes,
    into target: UnsafeMutablePointer<Float>
  ) {
    let target = SharedPointer(target)
    ThreadBudget.forEach(sizes.batch * sizes.frames) { task in
      Products.product(
        window(padded, task, sizes), rowStride: sizes.channels, rows: sizes.hop,
        kernel(kernels, task, sizes), bias: biases.pointer + task * outputs,
        target + task * sizes.hop * outputs)
    }
  }

  /// The same for a batch of one, whose kernels are made for some frames at a time.
  func value(
    _ x: Tensor, frames: Int, atATime count: Int,
    _ kernels: (Range<Int>) -> (kernels: Tensor, biases: Tensor)
  ) -> Tensor {
    let (steps, channels) = (x.shape[1], x.columns)
    let hop = steps / frames
    let padded = padded(x)
    return Tensor(shape: [1, steps, outputs]) { target in
      for first in stride(from: 0, to: frames, by: count) {
        let range = first..<min(frames, first + count)
        let part = padded.reshaped([padded.shape[1], channels])
          .rows(range.lowerBound * hop..<range.upperBound * hop + taps - 1)
        let (kernels, biases) = kernels(range)
        multiply(
          part.reshaped([1, part.rows, channels]), kernels, biases,
          Sizes(
            batch: 1, frames: range.count, hop: hop, channels: channels, inputs: taps * channels),
          into: target + first * hop * outputs)
      }
    }
  }

  /// What a frame's first output reads.
  private func window(_ padded: Tensor, _ task: Int, _ sizes: Sizes) -> UnsafePointer<Float> {
    let (row, frame) = task.quotientAndRemainder(dividingBy: sizes.frames)
    return padded.pointer + (row * padded.shape[1] + frame * sizes.hop) * sizes.channels
  }

  private func kernel(_ kernels: Tensor, _ task: Int, _ sizes: Sizes) -> PackedMatrix {
    PackedMatrix(
      rows: outputs, columns: sizes.inputs,
      panels: Storage(
        borrowing: kernels.pointer + task * kernels.columns, count: kernels.columns,
        owner: kernels.storage))
  }

  func readsInputs(_ wanted: [Bool]) -> [Bool] { [true, true, false] }

  func pullback(_ inputs: [Tensor], _ output: Tensor, _ gradient: Tensor, _ wanted: [Bool])
    -> [Tensor?]
  {
    let (x, kernels, biases) = (inputs[0], inputs[1], inputs[2])
    let sizes = sizes(x, kernels)
    let padded = padded(x)
    let dkernels = Tensor(shape: kernels.shape, fill: { _ in })
    let dbiases = Tensor(shape: biases.shape, fill: { _ in })
    let (kernelTarget, biasTarget) = (
      SharedPointer(dkernels.storage.floats), SharedPointer(dbiases.storage.floats)
    )
    // Of each frame what its windows get; they overlap by some steps.
    let windows = Tensor(
      shape: [sizes.batch * sizes.frames, (sizes.hop + taps - 1) * sizes.channels], fill: { _ in })
    let windowTarget = SharedPointer(windows.storage.floats)
    ThreadBudget.forEach(sizes.batch * sizes.frames) { task in
      let dy = gradient.pointer + task * sizes.hop * outputs
      ck_column_sums(dy, biasTarget + task * outputs, sizes.hop, outputs)
      kernelGradient(
        window(padded, task, sizes), dy, kernelTarget + task * kernels.columns, sizes)
      windowGradient(
        kernels.pointer + task * kernels.columns, dy, windowTarget + task * windows.columns, sizes)
    }
    return [sum(windows, x.shape, sizes), dkernels, dbiases]
  }

  /// [inputs][outputs] of a frame, as panels.
  private func kernelGradient(
    _ window: UnsafePointer<Float>, _ dy: UnsafePointer<Float>,
    _ target: UnsafeMutablePointer<Float>, _ sizes: Sizes
  ) {
    let packed = PackedMatrix(
      dy, outputStride: 1, inputStride: outputs, rows: outputs, columns: sizes.hop)
    let width = Int(CK_PANEL)
    let rows = Storage(count: sizes.inputs * outputs)
    Products.product(
      window, rowStride: 1, inputStride: sizes.channels, rows: sizes.inputs, packed, rows.floats)
    for panel in 0..<ck_panel_count(outputs) {
      let count = min(width, outputs - panel * width)
      for input in 0..<sizes.inputs {
        let to = target + (panel * sizes.inputs + input) * width
        to.update(from: rows.floats + input * outputs + panel * width, count: count)
        (to + count).update(repeating: 0, count: width - count)
      }
    }
  }

  /// What a frame's outputs give to the steps that they read.
  private func windowGradient(
    _ panels: UnsafePointer<Float>, _ dy: UnsafePointer<Float>,
    _ target: UnsafeMutablePointer<Float>, _ sizes: Sizes
  ) {
    let width = Int(CK_PANEL)
    let turned = Storage(count: sizes.inputs * outputs)
    for output in 0..<outputs {
      let column = panels + output / width * sizes.inputs * width + output % width
      for input in 0..<sizes.inputs {
        turned.floats[input * outputs + output] = column[input * width]
      }
    }
    let packed = PackedMatrix(
      turned.floats, outputStride: outputs, inputStride: 1, rows: sizes.inputs, columns: outputs)
    let steps = Storage(count: sizes.hop * sizes.inputs)
    Products.product(dy, rowStride: outputs, rows: sizes.hop, packed, steps.floats)
    target.update(repeating: 0, count: (sizes.hop + taps - 1) * sizes.channels)
    for step in 0..<sizes.hop {
      ck_accumulate(
        target + step * sizes.channels, steps.floats + step * sizes.inputs, sizes.inputs)
    }
  }

  /// The windows of all frames, added up without what they have of the padding.
  private func sum(_ windows: Tensor, _ shape: [Int], _ sizes: Sizes) -> Tensor {
    let side = taps / 2
    return Tensor(shape: shape) { target in
      target.update(repeating: 0, count: shape.reduce(1, *))
      for task in 0..<sizes.batch * sizes.frames {
        let (row, frame) = task.quotientAndRemainder(dividingBy: sizes.frames)
        let first = frame * sizes.hop - side
        let steps = max(0, first)..<min(shape[1], first + sizes.hop + taps - 1)
        ck_accumulate(
          target + (row * shape[1] + steps.lowerBound) * sizes.channels,
          windows.pointer + task * windows.columns + (steps.lowerBound - first) * sizes.channels,
          steps.count * sizes.channels)
      }
    }
  }
}

extension Tensor {
  /// A convolution over time `[batch, frames * hop, channels]` whose kernel changes from frame to frame,
  /// with zeros around the whole signal: `[batch, frames * hop, outputs]`.
  ///
  /// - Parameters:
  ///   - kernels: `[batch, frames, size]`: of each frame a matrix `[outputs, taps * channels]`, taps outermost,
  ///     with the order of values that ``packedOrder(outputs:inputs:)`` tells.
  ///   - biases: `[batch, frames, outputs]`
  ///   - taps: an odd number.
  public func convolved(kernels: Tensor, biases: Tensor, taps: Int) -> Tensor {
    apply(
      LocationVariableConvolution(taps: taps, outputs: biases.columns), [self, kernels, biases])
  }

  /// The same for a batch of one, whose kernels are made for some frames at a time: all of them take much
  /// memory. Not recorded.
  ///
  /// - Parameters:
  ///   - frames: of the signal.
  ///   - outputs: channels of the result.
  ///   - count: frames at a time.
  ///   - kernels: makes the kernels and biases of some frames.
  public func convolved(
    taps: Int, outputs: Int, frames: Int, atATime count: Int,
    kernels: (Range<Int>) -> (kernels: Tensor, biases: Tensor)
  ) -> Tensor {
    precondition(shape[0] == 1 && node == nil, "one signal that is not differentiated")
    return LocationVariableConvolution(taps: taps, outputs: outputs)
      .value(self, frames: frames, atATime: count, kernels)
  }

  /// The order in which the kernels of ``convolved(kernels:biases:taps:)`` hold a matrix: for each place the
  /// output and the input, nil where there is nothing.
  public static func packedOrder(outputs: Int, inputs: Int) -> [(output: Int, input: Int)?] {
    let width = Int(CK_PANEL)
    return (0..<ck_panel_count(outputs) * inputs * width).map { place in
      let (line, column) = place.quotientAndRemainder(dividingBy: width)
      let output = line / inputs * width + column
      return output < outputs ? (output, line % inputs) : nil
    }
  }
}
