import CKernels

extension Tensor {
  /// A convolution over time as one matrix product: with channels last, the input of an output
  /// step is a contiguous stretch of memory, so nothing is copied. Not recorded: the codec is frozen.
  ///
  /// `self` is `[context + steps, channels]`, the context columns in front.
  ///
  /// - Parameters:
  ///   - weight: `[outputs, kernel * channels]`, kernel taps outermost.
  ///   - bias: `[outputs]`.
  /// - Returns: `[steps / stride, outputs]`, the cross-correlation.
  public func convolution(
    weight: PackedMatrix, bias: Tensor?, kernel: Int, stride: Int, dilation: Int
  ) -> Tensor {
    precondition(node == nil && tangentBox == nil, "a convolution is not differentiated")
    let channels = columns
    precondition(weight.columns == kernel * channels, "weights do not fit the channels")
    let reach = (kernel - 1) * dilation + 1
    let steps = (rows - reach) / stride + 1
    guard steps > 0 else { return Tensor(shape: [0, weight.rows], fill: { _ in }) }
    if dilation > 1 {
      let gathered = Tensor(shape: [steps, kernel * channels]) { target in
        for step in 0..<steps {
          for tap in 0..<kernel {
            (target + (step * kernel + tap) * channels).update(
              from: pointer + (step * stride + tap * dilation) * channels, count: channels)
          }
        }
      }
      return gathered.product(weight, bias: bias)
    }
    return Tensor(shape: [steps, weight.rows]) { target in
      Products.product(
        pointer, rowStride: stride * channels, rows: steps, weight, bias: bias?.pointer, target)
    }
  }

  /// A depthwise transposed convolution with a kernel of twice the stride, without bias.
  ///
  /// `self` is `[1 + frames, channels]`, the frame before in front.
  ///
  /// - Parameter weight: `[2 * stride, channels]`.
  /// - Returns: `[frames * stride, channels]`.
  public func depthwiseUpsampled(weight: Tensor, stride: Int) -> Tensor {
    precondition(weight.shape == [2 * stride, columns], "weights do not fit the channels")
    return Tensor(shape: [(rows - 1) * stride, columns]) { target in
      ck_depthwise_upsample(pointer + columns, weight.pointer, target, rows - 1, stride, columns)
    }
  }

  /// Rows with earlier ones in front, as a streaming convolution reads them; with `elu` the rows,
  /// not what stands in front of them, pass through it on the way. Not recorded.
  ///
  /// - Parameter context: `[any, channels]`.
  public func following(_ context: Tensor, elu: Bool) -> Tensor {
    precondition(context.columns == columns, "the context has other channels")
    precondition(node == nil && tangentBox == nil, "a convolution is not differentiated")
    return Tensor(shape: [context.rows + rows, columns]) { target in
      target.update(from: context.pointer, count: context.count)
      let target = SharedPointer(target + context.count)
      parallelRanges(count) { range in
        if elu {
          ck_unary(
            Function.Kind.elu.rawValue, pointer + range.lowerBound, target + range.lowerBound,
            range.count)
        } else {
          (target + range.lowerBound).update(from: pointer + range.lowerBound, count: range.count)
        }
      }
    }
  }
}
